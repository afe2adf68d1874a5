#!/usr/bin/env python
import pathlib

if __name__ == '__main__':
    if 'No command-line interface' in '{{ cookiecutter.command_line_interface }}':
        pathlib.Path('src', '{{ cookiecutter.slug }}', 'cli.py').unlink()
    if 'Not open source' == '{{ cookiecutter.open_source_license }}':
        pathlib.Path('LICENSE').unlink()
