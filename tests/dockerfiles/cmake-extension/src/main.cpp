#include <cstdlib>
#include <iostream>
#include <vector>

double dot(const std::vector<double> &);

int main(int count, char **words) {
    std::vector<double> a;
    for (int i = 1; i < count; i++) a.push_back(std::atof(words[i]));
    std::cout << "dot " << dot(a) << std::endl;
}
