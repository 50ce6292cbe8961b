#include <numeric>
#include <vector>

double dot(const std::vector<double> &a) { return std::inner_product(a.begin(), a.end(), a.begin(), 0.0); }
