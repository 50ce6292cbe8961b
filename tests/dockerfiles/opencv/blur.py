import cv2
import numpy

image = numpy.zeros((9, 9), dtype=numpy.float32)
image[4, 4] = 1
print("middle", round(float(cv2.GaussianBlur(image, (3, 3), 0)[4, 4]), 2))
