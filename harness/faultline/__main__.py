"""``python -m faultline``, where the script is not on the path."""

from faultline.cli import main

if __name__ == "__main__":
    main()
