import re, sys
if not re.match(r'^[a-z]+$', '{{ cookiecutter.slug }}'):
    sys.exit(1)
