#!/bin/sh
# rustc, as scripts/fuzz.sh calls it: our own crates tell the fuzzer which branches they take. Dependencies stay as they are, so
# they come from the ordinary release build.
compiler=$1
shift
case " $* " in
*" --crate-name vitrine "* | *" --crate-name vitrine_fuzz "*)
    exec "$compiler" "$@" --cfg fuzzing -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$compiler" "$@"
