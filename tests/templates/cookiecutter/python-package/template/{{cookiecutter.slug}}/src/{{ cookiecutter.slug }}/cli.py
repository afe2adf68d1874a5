{%- if cookiecutter.command_line_interface|lower == 'typer' %}
import typer
{%- endif %}
{%- if cookiecutter.command_line_interface|lower == 'argparse' %}
import argparse
{%- endif %}
