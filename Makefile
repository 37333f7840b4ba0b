# segan: one plain Makefile. `make help` lists the targets.
VERSION := 0.1.0
PREFIX  ?= /usr/local
B       ?= build
CC      ?= cc
CXX     ?= c++
SANITIZE ?=
V       ?= 0
SECONDS ?= 60
ifeq ($(V),0)
Q = @echo '  $@';
endif

WARN    := -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wno-format-nonliteral
CWARN   := $(WARN) -Wstrict-prototypes -Wmissing-prototypes
OPT     ?= -O2
CPU     :=
DEFS    := -D_GNU_SOURCE -DSEGAN_VERSION='"$(VERSION)"' -I.
PKGS    := libopenjp2 libmicrohttpd gnutls libcjson sqlite3 libcurl libpng libssl libcrypto libseccomp openblas
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) | sed 's/-I/-isystem /g')
PKG_LIBS   = $(shell pkg-config --libs $(PKGS))
CFLAGS_ALL   = -std=c11 -g $(OPT) $(CPU) $(CWARN) $(DEFS) $(PKG_CFLAGS) $(SANITIZE) $(CFLAGS) -pthread -MMD -MP
CXXFLAGS_ALL = -std=c++17 -g $(OPT) $(WARN) $(DEFS) $(SANITIZE) $(CXXFLAGS) -pthread -MMD -MP
LIBS = -lniftiio -lznz -ldcmtls -ldcmnet -ldcmimgle -ldcmjpeg -ldcmjpls -ldcmdata -loflog -lofstd $(PKG_LIBS) -lz -lm -lstdc++ -pthread

ROOM_C  := $(wildcard config/*.c model/*.c model/nn/*.c dicom/*.c db/*.c service/flow/*.c service/http/*.c service/commands/*.c)
ROOM_CC := $(wildcard dicom/*.cc)
OBJS    := $(ROOM_C:%.c=$(B)/obj/%.o) $(ROOM_CC:%.cc=$(B)/obj/%.o)
LIB     := $(B)/libsegan.a
# Under ThreadSanitizer the programs take the network's kernels without it (a hundred times as fast); the unit tests run them with it.
KERNELS := $(if $(findstring thread,$(SANITIZE)),$(patsubst %.c,$(B)/plain/%.o,$(filter-out model/nn/team.c,$(wildcard model/nn/*.c))))
UNIT    := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))

# As many jobs as cores where the caller said nothing.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(B)/segand $(B)/segan

$(B)/segand $(B)/segan: $(B)/%: $(B)/obj/service/%.o $(KERNELS) $(LIB)
	$(Q)$(CXX) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIBS)

$(LIB): $(OBJS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<

$(B)/plain/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out $(SANITIZE),$(CFLAGS_ALL)) -c -o $@ $<

$(B)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS_ALL) -c -o $@ $<

# The network's inner loops; no -ffast-math: isfinite(loss) is the trainer's smoke alarm. The other three change no value.
$(B)/obj/model/nn/%.o $(B)/plain/model/nn/%.o $(B)/obj/model/critic.o: OPT += -O3 -fno-trapping-math -fno-math-errno -ffp-contract=off
# Called on CPUs that have them only (f43_plan).
$(foreach o,obj plain,$(B)/$(o)/model/nn/f43.o $(B)/$(o)/model/nn/f43_tiles.o $(B)/$(o)/model/nn/f43_product.o): CPU = -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -ffp-contract=fast
# Sums and products may be joined where the CPU can: tolerances, not bits, are what the serving network is held to.
$(B)/obj/model/nn/winograd.o $(B)/plain/model/nn/winograd.o: CPU = -ffp-contract=fast
# Debian's libnifti includes its own headers without their folder and has no pkg-config file.
$(B)/obj/service/commands/dataset_nifti.o: DEFS += -isystem /usr/include/nifti
# The defaults are compiled in from the file that documents them.
$(B)/obj/config/settings.o: config/segand.json

$(B)/tests/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $< $(LIB) $(LDFLAGS) -lcmocka $(LIBS)

$(B)/bench/%: tests/bench/%.c $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS)

# The fuzz targets over their corpus, and under libFuzzer (clang): one program each, which is told the target.
FUZZ_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(filter-out tests/fuzz/replay.c tests/fuzz/fuzzer.c,$(wildcard tests/fuzz/*.c)))
$(B)/tests/fuzz_replay: $(FUZZ_OBJS) $(B)/obj/tests/fuzz/replay.o $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/fuzzer: $(FUZZ_OBJS) $(B)/obj/tests/fuzz/fuzzer.o $(LIB)
	$(Q)$(CXX) $(SANITIZE) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)

# Preloaded into the daemon by tests/e2e/faults.sh. No tail calls: a place of the program is known by its stack.
$(B)/tests/fault.so: tests/faults/fault.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -g -O1 -fno-optimize-sibling-calls $(CWARN) -D_GNU_SOURCE $(CFLAGS) -shared -fPIC -o $@ $< -ldl

unit: $(UNIT) $(B)/tests/fuzz_replay $(B)/tests/fault.so

deps:
	@deploy/install-deps.sh $(DEPS)

demo: deps
	+@$(SUBMAKE) all
	@deploy/demo/demo.sh

test: DEPS = test
test: deps
	+@$(SUBMAKE) all unit
	@B=$(B) tests/run

test-peers: DEPS = test
test-peers: deps
	+@$(SUBMAKE) all
	@B=$(B) tests/peers/run.sh

lint:
	@tests/lint/lint.sh

asan:
	+@$(SUBMAKE) B=build/asan SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer" all unit
	@B=build/asan tests/run

tsan:
	+@$(SUBMAKE) B=build/tsan SANITIZE="-fsanitize=thread" all unit
	@B=build/tsan tests/run

# Workers are killed, not ended, and may write nothing: what runs in them is counted by segan segment alone.
coverage: DEPS = coverage
coverage: deps
	+@$(SUBMAKE) B=build/coverage OPT=-O1 SANITIZE="--coverage -fprofile-update=atomic" all unit
	@find build/coverage -name '*.gcda' -delete
	@B=build/coverage tests/run || echo "coverage: some tests failed"
	@gcovr --root . --object-directory build/coverage --filter '(config|model|dicom|db|service)/' --exclude-throw-branches --exclude-unreachable-branches \
		--txt build/coverage/lines.txt --html-details build/coverage/index.html --print-summary
	@echo 'by file: build/coverage/lines.txt; by line: build/coverage/index.html'

valgrind: DEPS = coverage
valgrind: deps
	+@$(SUBMAKE) all unit
	@UNIT_SECONDS=3600 UNDER="valgrind -q --suppressions=tests/valgrind.supp --error-exitcode=99 --child-silent-after-fork=yes --leak-check=full --errors-for-leak-kinds=definite" B=$(B) tests/run test_

fuzz: DEPS = fuzz
fuzz: deps
	+@$(SUBMAKE) B=build/fuzz CC=clang CXX=clang++ OPT=-O1 SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer" build/fuzz/fuzzer
	@tests/fuzz/run.sh "$(SECONDS)" "$(TARGET)"

bench: DEPS = bench
bench: deps
	+@$(SUBMAKE) all
	@for b in tests/bench/*.sh; do B=$(B) $$b || exit 1; done

train-table: all
	@SEGAN=$(B)/segan tests/train/table.sh "$(SET)" "$(OUT)" $(MINUTES)

soak: DEPS = test
soak: deps
	+@$(SUBMAKE) all
	@B=$(B) POINTS=$${POINTS:-500} tests/e2e/crash.sh
	@B=$(B) POINTS=$${KILLS:-200} tests/load/kill.sh

load: DEPS = test
load: deps
	+@$(SUBMAKE) all
	@B=$(B) tests/load/load.sh

faults: DEPS = test
faults: deps
	+@$(SUBMAKE) all $(B)/tests/fault.so
	@B=$(B) POINTS=$${POINTS:-0} tests/e2e/faults.sh

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/segand/models $(DESTDIR)$(PREFIX)/share/doc/segand
	install -s -m 755 $(B)/segand $(B)/segan $(DESTDIR)$(PREFIX)/bin/
	cp -r model/shipped/. $(DESTDIR)$(PREFIX)/share/segand/models/
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/segand/
	sed 's,"/usr/share/segand/models","$(PREFIX)/share/segand/models",' config/segand.json > $(DESTDIR)$(PREFIX)/share/doc/segand/segand.json
	chmod 644 $(DESTDIR)$(PREFIX)/share/doc/segand/segand.json

clean:
	rm -rf build

help:
	@echo 'make all        build/segand (daemon) and build/segan (command line); the default; V=1 shows the commands'
	@echo 'make unit       the unit tests, built but not run'
	@echo 'make demo       install what is missing, build, segment the shipped study over C-STORE and STOW-RS (KEEP=1 leaves it running)'
	@echo 'make test       install what is missing, build, run every test'
	@echo 'make test-peers readers, senders and receivers from npm against ours (needs Node 18 and npm; installs into build/peers)'
	@echo 'make lint       rooms and directions, banned functions, style, compiler warnings as errors with gcc and clang'
	@echo 'make asan tsan  the tests under AddressSanitizer + UBSan, under ThreadSanitizer'
	@echo 'make coverage   what lines and branches the tests reach, by gcovr'
	@echo 'make valgrind   the unit tests under memcheck'
	@echo 'make bench      speed against the peers, which it installs; one line each: name ours peer ratio'
	@echo 'make train-table SET=DIR OUT=DIR MINUTES=15: what the critic adds, on a set of segan dataset create; two to four hours on one core'
	@echo 'make fuzz       libFuzzer with ASan + UBSan, SECONDS=60 a target, all of tests/fuzz or TARGET= one; findings in build/fuzz/found'
	@echo 'make soak       kill -9 at POINTS=500 named steps and random instants, then KILLS=200 times under load (SEED= repeats what is chosen)'
	@echo 'make load       4 associations, 4 STOW senders, 50 REST readers and running jobs for MINUTES=10; prints figures, fails when one is missed'
	@echo 'make faults     every call that changes the disk fails once with ENOSPC and once with EIO, a run of the node each (about 15 minutes; POINTS=n: only so many)'
	@echo 'make install    PREFIX=/usr/local (DESTDIR= for packages)'
	@echo 'make deps       only install what is missing (Debian packages)'
	@echo 'make clean      remove build/'
	@echo 'make help       this'

-include $(FUZZ_OBJS:.o=.d) $(OBJS:.o=.d) $(UNIT:=.d) $(B)/obj/service/segand.d $(B)/obj/service/segan.d
.PHONY: all unit deps demo test test-peers lint asan tsan coverage valgrind bench train-table fuzz soak load faults install clean help
