import pathlib, shutil
if '{{ cookiecutter.docs }}' == 'no':
    shutil.rmtree('docs')
pathlib.Path('made.txt').write_text('{{ cookiecutter.slug|upper }}\n')
