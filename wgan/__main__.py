"""`python -m wgan` is the command `wgan`."""

from wgan.cli import main

if __name__ == "__main__":
    main()
