import {{ cookiecutter.package }}
