@echo off
{{ name }}
