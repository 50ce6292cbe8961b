import sys

import attr


def main():
    print("attrs", attr.__version__, "in", sys.prefix)
