#!/bin/sh
# The house's own rules, as far as a script can see them.  Prints "ok NAME" or
# "FAIL NAME" and the places.
O=${O:-build/release}
CC=${CC:-gcc}
code=0

report() { # name, places
    if [ -z "$2" ]; then
        echo "ok $1"
    else
        echo "FAIL $1"
        echo "$2" | head -n 20
        code=1
    fi
}

sources() { find engine kernels models convert video tools include examples tests bench -name '*.c' -o -name '*.h' | sort; }

report "functions of at most 80 lines" "$(sources | xargs awk '
    FNR == 1 { open = 0 }
    /^\{/ { open = FNR }
    /^\}/ { if (open && FNR - open > 80) print FILENAME ":" open; open = 0 }')"
report "files of at most 800 lines" "$(sources | xargs wc -l | awk '$2 != "total" && $1 > 800 { print }')"
report "no trailing space" "$(sources | xargs grep -nE '[[:space:]]+$' /dev/null)"
report "no TODO" "$(sources | xargs grep -nE 'TODO|FIXME' /dev/null | grep -v style_test)"

# an include only points down
layer() { # folder, forbidden folders
    grep -rnE "#include \"($2)/" "$1" --include='*.c' --include='*.h'
}
report "layers" "$(
    layer kernels 'models|convert|video|tools|tests|bench'
    grep -rnE '#include "engine/' kernels --include='*.c' --include='*.h' | grep -v 'engine/base.h'
    layer engine 'models|convert|video|tools|tests|bench'
    layer models 'video|tools|tests|bench'
    layer convert 'video|tools|tests|bench'
    layer video 'tools|tests|bench')"

bad=$(for h in $(sources | grep '\.h$' | grep -vE '_tmpl|kernels/x86/'); do
    echo "#include \"$h\"" | $CC -std=gnu11 -fsyntax-only -I. -Iinclude -DVBG_VERSION='"x"' -x c - 2>/dev/null || echo "$h"
done)
report "every header compiles alone" "$bad"

# .data and .bss of the library hold nothing that changes (const pointers are relro);
# but for the table of mappings: a signal handler has nothing else to look into
report "no mutable globals" "$(for o in $(find "$O/engine" "$O/kernels" "$O/models" "$O/convert" "$O/video" -name '*.o' 2>/dev/null); do
    objdump -t "$o" | awk -v f="$o" '$2 == "O" || $3 == "O" { for (i = 1; i <= NF; i++) if ($i ~ /^\.(data|bss)(\.[A-Za-z_].*)?$/ && $i !~ /rel\.ro/) print f, $NF }'
done | grep -v '__gcov\|__sancov\|__tsan\|__asan\|engine/map_guard.o')"

exit $code
