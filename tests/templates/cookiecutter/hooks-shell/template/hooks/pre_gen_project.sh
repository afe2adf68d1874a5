#!/bin/sh
echo "before {{ cookiecutter.slug }} $(ls | wc -l)" > before.txt
