"""`python -m tiffin`: the same as the command `tiffin`."""

from tiffin.cli.main import main

if __name__ == "__main__":
    main()
