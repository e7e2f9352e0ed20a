#!/bin/sh
# Answer `mc ready local`.
test "$*" = "ready local" && exec wget -q -O /dev/null http://127.0.0.1:9000/moto-api/
