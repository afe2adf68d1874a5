#!/bin/sh
# Installing a package must not start its service: a container runs one thing, its CMD. (101: forbidden by policy)
exit 101
