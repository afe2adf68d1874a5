@echo {{ cookiecutter.slug }}
rem
