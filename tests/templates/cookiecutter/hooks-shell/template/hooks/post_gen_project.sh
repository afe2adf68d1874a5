#!/bin/sh
set -e
{% if cookiecutter.keep == 'no' %}rm keep.txt{% endif %}
chmod +x run.sh
mkdir -p made && ls *.sh > made/listing
