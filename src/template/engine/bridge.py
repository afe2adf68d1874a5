"""Renders texts with the Jinja extensions of one template. One JSON document a line, in and out."""

import json
import os
import sys

answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
# What an extension prints or reads is no part of the conversation.
quiet = os.open(os.devnull, os.O_RDWR)
os.dup2(quiet, 0)
os.dup2(quiet, 1)


def answer(**fields):
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


def environment(setup):
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    root = setup["root"]
    sys.path[:0] = [root]
    options = dict(setup["options"])
    options["undefined"] = jinja2.StrictUndefined if setup["strict"] else jinja2.Undefined
    extensions = []
    for name in setup["usual"]:
        try:
            jinja2.utils.import_string(name)
            extensions.append(name)
        except ImportError:
            pass
    kind = SandboxedEnvironment if setup["sandbox"] else jinja2.Environment
    loader = jinja2.FileSystemLoader([os.path.join(root, directory) for directory in setup["directories"]])
    made = kind(loader=loader, extensions=extensions + setup["extensions"], **options)
    made.filters["__items"] = lambda value: json.dumps(None if isinstance(value, jinja2.Undefined) else list(value))
    made.globals.setdefault("pathjoin", lambda *parts: os.path.normpath(os.path.join(*parts)))
    return made


def line_of(error, name):
    trace, line = error.__traceback__, getattr(error, "lineno", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def main():
    try:
        made = environment(json.loads(requests.readline()))
    except BaseException as error:
        answer(error=f"{type(error).__name__}: {error}")
        return
    answer(text="")
    variables = {}
    for request in requests:
        request = json.loads(request)
        variables = request.get("variables", variables)
        try:
            template = made.from_string(request["text"])
            answer(text=template.render({**variables, **request["more"]}))
        except Exception as error:
            answer(error=f"{type(error).__name__}: {error}", line=line_of(error, request["name"]))


main()
