#!/bin/bash
# SIGKILL under load, from outside the program: six senders (C-STORE by hand, dcmsend, STOW-RS), three archives (Orthanc with storage commitment, storescp, STOW-RS), and POINTS
# kills of the daemon, the worker, both, a start, a stop, archives and senders at random instants; half of them while retention removes studies. Then everything
# must tell one story: what the senders got as success, spool, database, archives, audit trail (kill_judge.py).
#   POINTS=200 SEED=7 tests/load/kill.sh     (part of make soak)
. tests/e2e/lib.sh
points=${POINTS:-200} seed=${SEED:-$RANDOM} status=0
demo_study "$work/study"
write_config "$work/base.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 15 | .retry_delay = 1 | .retry_max = 2 | .max_attempts = 100
	| .dicom.commitment_timeout = 4 | .dicom.commitment_wait = 1 '"$(limits)"
for profile in keep retain; do
	mkdir "$work/$profile"
	SEGAND=$B/segand PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/load/kill.py "$work/$profile" "$work/base.json" "$work/study" $((points / 2)) "$seed" $profile || status=1
done
[ $status = 0 ] || { node_log=$work/keep/segand.log; fail "seed $seed"; }
