echo {{ cookiecutter.slug }}
