# vbg: make | make check | make demo | make bench | make fuzz | make install
# MODE=release|debug|asan|tsan|cov
MODE  ?= release
PREFIX ?= /usr/local
VBG_SHARED ?= ../shared
O     := build/$(MODE)$(if $(findstring clang,$(CC)),-clang)
B     := bin

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
WARN += $(if $(findstring clang,$(CC)),-Wno-pass-failed) # omp simd is a hint
CFLAGS_release := -O2 -g1 -fno-omit-frame-pointer
CFLAGS_debug   := -O0 -g
CFLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan    := -O1 -g -fsanitize=thread
CFLAGS_cov     := -O0 -g --coverage
CFLAGS_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

# Libraries: required ones always, optional ones when pkg-config finds them.
REQUIRED := libpng libjpeg jansson libutf8proc libzip libconfuse expat libexif lcms2 libxxhash
OPTIONAL := libav nettle libwebp
PKG_libav   := libavformat libavcodec libavfilter libavutil libswscale libswresample
PKG_nettle  := nettle
PKG_libwebp := libwebp
HAVE := $(foreach p,$(OPTIONAL),$(if $(shell pkg-config --exists $(PKG_$(p)) && echo y),$(p)))
# Loaded while running, when asked for: headers only.
DLOPEN := $(foreach p,sdl2 libpipewire-0.3,$(if $(shell pkg-config --exists $(p) && echo y),$(p)))
PKGS := $(REQUIRED) $(foreach p,$(HAVE),$(PKG_$(p)))
DEFS := $(foreach p,$(HAVE) $(DLOPEN),-DVBG_HAVE_$(shell echo $(p) | sed 's/^lib\(pipewire\).*/\1/' | tr a-z A-Z))
# libcsv has no pkg-config file.
ifneq ($(wildcard /usr/include/csv.h),)
DEFS += -DVBG_HAVE_LIBCSV
TRAIN_LIBS += -lcsv
endif

VERSION := 0.1.0
override CPPFLAGS += -I. -Iinclude -DVBG_VERSION='"$(VERSION)"' $(DEFS)
override CFLAGS   += -std=c11 -fopenmp -ffp-contract=off -fPIC -fvisibility=hidden -MMD -MP -pthread $(WARN) $(CFLAGS_$(MODE))
LIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -fopenmp -pthread
INCS  := $(shell pkg-config --cflags $(PKGS) $(DLOPEN) 2>/dev/null | sed 's/-I/-isystem /g')

AVX2   := -mavx2 -mfma -mf16c
AVX512 := $(AVX2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512

LIB_SRC  := $(wildcard engine/*.c kernels/*.c kernels/ref/*.c kernels/x86/*.c models/*.c convert/*.c video/*.c)
ifeq ($(MODE),fuzz) # the readers alone
LIB_SRC  := $(wildcard engine/*.c convert/*.c) kernels/pack.c kernels/isa.c
endif
TOOL_SRC := $(filter-out $(wildcard tools/vbg-*.c),$(wildcard tools/*.c))
TRAIN_SRC := $(wildcard tools/train/*.c tools/rooms/*.c tools/judge/*.c) # vbg-train alone
# Embree 3 has no .pc file: tried by compiling.  Without it `vbg-train rooms` and `figure` say so.
ifeq ($(shell echo '\#include <embree3/rtcore.h>' | $(CC) $(CPPFLAGS) -E -x c - >/dev/null 2>&1 && echo y),y)
$(O)/tools/rooms/command.o $(O)/tools/rooms/figure_command.o $(O)/tests/test_rooms.o $(O)/tests/test_figure.o $(O)/bench/rooms.o: override CPPFLAGS += -DVBG_HAVE_EMBREE
TRAIN_LIBS += -lembree3
else
TRAIN_SRC := $(filter-out $(wildcard tools/rooms/core_*.c) $(addprefix tools/rooms/,render.c prompts.c backdrop.c figure_trace.c figure_film.c),$(TRAIN_SRC))
endif
# Plots of training logs and of what vbg-eval found.
ifeq ($(shell pkg-config --exists cairo cairo-svg && echo y),y)
$(O)/tools/train/plot_draw.o: override CPPFLAGS += -DVBG_HAVE_CAIRO
$(O)/tools/train/plot_draw.o: INCS += $(shell pkg-config --cflags cairo | sed 's/-I/-isystem /g')
PLOT_LIBS := $(shell pkg-config --libs cairo)
TRAIN_LIBS += $(PLOT_LIBS)
endif
# Several processes under mpirun.
ifeq ($(shell pkg-config --exists ompi-c && echo y),y)
$(O)/tools/train/ranks.o: override CPPFLAGS += -DVBG_HAVE_MPI
$(O)/tools/train/ranks.o: INCS += $(shell pkg-config --cflags ompi-c | sed 's/-I/-isystem /g')
TRAIN_LIBS += $(shell pkg-config --libs ompi-c)
endif
EVAL_SRC := $(wildcard tools/eval/*.c tools/judge/*.c) tools/rooms/palette.c tools/rooms/things.c
PROGRAMS := $(patsubst tools/%.c,%,$(wildcard tools/vbg-*.c))
GOLD_SRC := $(wildcard tests/golden/*.c)
TESTS    := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
BENCH_SRC := $(wildcard bench/*.c)

obj = $(patsubst %.c,$(O)/%.o,$(1))
LIB := $(O)/libvbg.a

.PHONY: all links check check-vm soak check-golden check-fast demo figure-clip bench fuzz fuzz-run perf deps install clean format tests
all: $(PROGRAMS:%=$(O)/bin/%) $(PROGRAMS:%=$(B)/%)

$(LIB): $(call obj,$(LIB_SRC))
	@rm -f $@
	@ar rcs $@ $^

# The shared library: only what include/vbg.h declares is visible.
SO := libvbg.so.0
$(O)/$(SO): $(call obj,$(LIB_SRC))
	$(Q)$(CC) -shared -Wl,-soname,$(SO) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(O)/bin/example_%: examples/%.c $(O)/$(SO)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(WARN) -O2 -Iinclude -o $@ $< $(O)/$(SO) -Wl,-rpath,'$$ORIGIN/..'
EXAMPLES := $(patsubst examples/%.c,$(O)/bin/example_%,$(wildcard examples/*.c))

$(O)/kernels/x86/%_avx2.o:        override CFLAGS += $(AVX2)
$(O)/kernels/x86/%_avx512.o:      override CFLAGS += $(AVX512)
$(O)/tools/rooms/%_avx2.o:        override CFLAGS += $(AVX2)
$(O)/tools/rooms/%_avx512.o:      override CFLAGS += $(AVX512)
$(O)/kernels/x86/%_avx512_bf16.o: override CFLAGS += $(AVX512) -mavx512bf16 -mavx512vnni
$(O)/kernels/x86/%_amx_bf16.o:    override CFLAGS += $(AVX512) -mavx512bf16 -mavx512vnni -mavx512vbmi -mamx-tile -mamx-bf16 -mamx-int8

$(O)/bench/print.o: override CPPFLAGS += -DVBG_COMMIT='"$(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)"'

# make V=1 shows the commands
Q := $(if $(V),,@)
$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "CC $<")
	$(Q)$(CC) $(CPPFLAGS) $(INCS) $(CFLAGS) -c -o $@ $<

# Always: bin/ belongs to the build that was asked for last.
$(B)/%: $(O)/bin/% links
	@mkdir -p $(B)
	@ln -sf ../$< $@
.SECONDARY:
$(O)/bin/vbg-bench: $(call obj,tools/vbg-bench.c $(TOOL_SRC) $(BENCH_SRC)) $(O)/libtrain.a $(O)/libfake.a $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(BENCH_LIBS) $(TRAIN_LIBS)
# An archive: what a test takes from the trainer comes without the rest.
$(O)/libtrain.a: $(call obj,$(TRAIN_SRC))
	@rm -f $@
	@ar rcs $@ $^
$(O)/bin/vbg-train: $(call obj,tools/vbg-train.c $(TOOL_SRC)) $(O)/libtrain.a $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(TRAIN_LIBS)
$(O)/libeval.a: $(call obj,$(EVAL_SRC) tools/train/plot_draw.c)
	@rm -f $@
	@ar rcs $@ $^
$(O)/bin/vbg-eval: $(call obj,tools/vbg-eval.c $(TOOL_SRC)) $(O)/libeval.a $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(PLOT_LIBS)
$(O)/bin/%: $(O)/tools/%.o $(call obj,$(TOOL_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(O)/bin/check-golden: $(call obj,$(GOLD_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lz
# What tests and the bench use in place of cameras.
FAKE_SRC := $(wildcard tests/fake/*.c)
FAKE := $(O)/libfake.a
$(FAKE): $(call obj,$(FAKE_SRC))
	@rm -f $@
	@ar rcs $@ $^
$(O)/bin/test_%: $(O)/tests/test_%.o $(call obj,$(TOOL_SRC)) $(FAKE) $(O)/libtrain.a $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(TRAIN_LIBS) $(TEST_LIBS) -lcriterion
$(O)/bin/test_pipewire: TEST_LIBS := $(shell pkg-config --libs libpipewire-0.3 2>/dev/null)

# Fuzz targets: tests/fuzz/fuzz_NAME.c with seeds in tests/fuzz/corpus/NAME.  make check
# replays the seeds (replay_NAME); make fuzz needs clang's libFuzzer.
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_TOOLS := $(O)/libfuzztools.a
$(FUZZ_TOOLS): $(call obj,$(filter tools/control% tools/config% tools/options% tools/message% tools/progress%,$(TOOL_SRC)))
	@rm -f $@
	@ar rcs $@ $^
$(O)/bin/replay_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/fuzz/replay.o $(FUZZ_TOOLS) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(O)/bin/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(FUZZ_TOOLS) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)
fuzz:
	@mkdir -p build/fuzz-corpus; \
	if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }' | \
	    clang -fsanitize=fuzzer,address,undefined -x c - -o build/fuzz-corpus/.probe 2>/dev/null; \
	then echo "make fuzz: skipped, clang with libFuzzer is not installed (Debian: clang, libclang-rt-14-dev)"; \
	else $(MAKE) --no-print-directory MODE=fuzz CC=clang fuzz-run; fi
fuzz-run: $(FUZZ:%=$(O)/bin/fuzz_%)
	@for n in $(FUZZ); do c=build/fuzz-corpus/$$n; mkdir -p $$c; \
	    if $(O)/bin/fuzz_$$n -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=2 -rss_limit_mb=512 \
	        -malloc_limit_mb=256 -print_final_stats=1 -artifact_prefix=$$c- $$c tests/fuzz/corpus/$$n 2>$$c.log; \
	    then echo "fuzz $$n: no crash, $$(sed -n 's/^stat::number_of_executed_units: *//p' $$c.log) runs"; \
	    else tail -n 40 $$c.log; echo "fuzz $$n: FAILED, see $$c.log"; exit 1; fi; done

# Runs in the guest of make check-vm.
$(O)/bin/vm_reader: $(O)/tests/vm/reader.o $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(LIBS)

# Random full-size checkpoints for measurements: build/release/bin/make_checkpoint OUT
$(O)/bin/make_checkpoint: $(O)/tests/tools/make_checkpoint.o $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(O)/bin/fault.so: tests/tools/fault.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=c11 $(WARN) -O1 -shared -fPIC -o $@ $< -ldl

tests: $(O)/bin/vm_reader $(O)/bin/make_checkpoint $(O)/bin/fault.so $(FUZZ:%=$(O)/bin/replay_%) $(TESTS:%=$(O)/bin/%) $(O)/bin/check-golden $(EXAMPLES) all

# What a bare Debian 12 lacks: required, then optional parts, then what tests need.
DEPS_REQUIRED := build-essential pkg-config libpng-dev libjpeg62-turbo-dev libjansson-dev \
    libutf8proc-dev libzip-dev libconfuse-dev libexpat1-dev libexif-dev liblcms2-dev libxxhash-dev
DEPS_OPTIONAL := nettle-dev libwebp-dev libavformat-dev libavcodec-dev libavfilter-dev libavutil-dev \
    libswscale-dev libswresample-dev libopenblas-dev libembree-dev libcsv-dev libsdl2-dev libpipewire-0.3-dev libcairo2-dev \
    libopenmpi-dev openmpi-bin
DEPS_TESTS := libcriterion-dev
deps:
	@missing=$$(for p in $(DEPS_REQUIRED) $(DEPS_OPTIONAL) $(DEPS_TESTS); do \
	    dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q '^install ok' || printf '%s ' $$p; done); \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ]; then \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	else echo "missing packages; run: sudo apt-get install --no-install-recommends $$missing" >&2; exit 1; fi

# Deps and build run as sub-makes: pkg-config is asked again after the installation.
check:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory tests
	@VBG_SHARED=$(VBG_SHARED) O=$(O) sh tests/check.sh

# An hour of the virtual camera (108,000 frames), faster than real time: memory, threads
# and descriptors stay as they are; an hour of the tracker: less than 0.2 degrees of drift;
# 100,000 frames of the marker room with a fault in every thousand: nothing of it shows.
SOAK_FRAMES ?= 108000
MARKER_FRAMES ?= 100000
soak: $(O)/bin/test_live_memory $(O)/bin/test_keyframes $(O)/bin/test_live
	MARKER_FRAMES=$(MARKER_FRAMES) $(O)/bin/test_live --filter 'live/marker_soak' --verbose
	SOAK_FRAMES=$(SOAK_FRAMES) $< --filter 'live_memory/soak' --verbose
	TRACK_FRAMES=$(SOAK_FRAMES) $(O)/bin/test_keyframes --filter 'keyframes/hours*'

# The virtual camera against real drivers in an emulated machine (tests/vm/check.sh).
check-vm: $(O)/bin/vbg-run $(O)/bin/vm_reader
	@O=$(O) sh tests/vm/check.sh

# Every oracle below GOLDEN (the whole golden folder or one family folder).
GOLDEN ?= $(if $(wildcard $(VBG_SHARED)/golden/tolerances.json),$(VBG_SHARED)/golden,tests/golden/data)
check-golden: $(O)/bin/check-golden all
	$< $(if $(FAMILY),-f $(FAMILY)) $(GOLDEN)

demo:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory all
	@VBG_SHARED=$(VBG_SHARED) sh tools/demo.sh

# The demo's talking figure with its truth, which tests of tracking use too: some minutes.
figure-clip:
	@$(MAKE) --no-print-directory all
	$(O)/bin/vbg-train figure -o build/figure --clips 1 --first 3 --seed 20 --kind living_room \
	    --size 960x540 --fov 66 --seconds 8 --fps 25 --crf 28 --alpha-crf 24
	for s in mp4 alpha.mp4 csv; do cp build/figure/000003.$$s examples/figure.$$s || exit 1; done

# The table of bench/RESULTS.md; REPS for quieter medians.
bench:
	@$(MAKE) --no-print-directory all
	$(O)/bin/vbg-bench kernels -r $(or $(REPS),5)

# One bench case under perf: make perf CASE=conv3 (a substring of name and shape).
perf:
	@$(MAKE) --no-print-directory all
	@O=$(O) CASE="$(CASE)" sh bench/perf.sh

INSTALL := install
DATADIR ?= $(PREFIX)/share
LIBDIR  ?= $(PREFIX)/lib
define VBG_PC
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$(PREFIX)/include
Name: vbg
Description: rooms from a sentence for video calls
Version: $(VERSION)
Libs: -L$${libdir} -lvbg
Libs.private: $(LIBS)
Cflags: -I$${includedir}
endef
export VBG_PC
install: all $(O)/$(SO)
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include
	$(INSTALL) -m 644 include/vbg.h $(DESTDIR)$(PREFIX)/include/vbg.h
	$(INSTALL) -m 644 $(LIB) $(DESTDIR)$(LIBDIR)/libvbg.a
	$(INSTALL) -m 755 $(O)/$(SO) $(DESTDIR)$(LIBDIR)/$(SO)
	ln -sf $(SO) $(DESTDIR)$(LIBDIR)/libvbg.so
	printf '%s\n' "$$VBG_PC" > $(DESTDIR)$(LIBDIR)/pkgconfig/vbg.pc
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(DATADIR)/man/man1 $(DESTDIR)$(DATADIR)/vbg/models \
	    $(DESTDIR)$(DATADIR)/bash-completion/completions $(DESTDIR)$(DATADIR)/zsh/site-functions \
	    $(DESTDIR)$(DATADIR)/fish/vendor_completions.d
	for p in $(PROGRAMS); do \
	    $(INSTALL) -m 755 $(O)/bin/$$p $(DESTDIR)$(PREFIX)/bin/$$p && \
	    $(O)/bin/$$p --generate man > $(DESTDIR)$(DATADIR)/man/man1/$$p.1 && \
	    $(O)/bin/$$p --generate complete-bash > $(DESTDIR)$(DATADIR)/bash-completion/completions/$$p && \
	    $(O)/bin/$$p --generate complete-zsh > $(DESTDIR)$(DATADIR)/zsh/site-functions/_$$p && \
	    $(O)/bin/$$p --generate complete-fish > $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/$$p.fish || exit 1; \
	done
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/systemd/user
	sed 's|/usr/bin/|$(PREFIX)/bin/|' tools/vbg-run.service > $(DESTDIR)$(LIBDIR)/systemd/user/vbg-run.service
	for m in $(wildcard weights/*.vbg); do $(INSTALL) -m 644 $$m $(DESTDIR)$(DATADIR)/vbg/models/ || exit 1; done

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build bin

-include $(patsubst %.o,%.d,$(call obj,$(LIB_SRC) $(TOOL_SRC) $(TRAIN_SRC) $(EVAL_SRC) $(GOLD_SRC) $(BENCH_SRC) $(wildcard tools/vbg-*.c tests/*.c tests/fake/*.c tests/tools/*.c tests/vm/*.c tests/fuzz/*.c)))
