#!/bin/bash
# A worker that hangs, dies or has too little memory costs attempts of its job and nothing else: the job fails with the limit or the signal in its reason, and
# the next study works. What a worker may not do.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
n=0
next_study() { n=$((n + 1)); cp -r "$work/study" "$work/s$n"; another_study "$work/s$n" "$n"; } # sets n
send() { dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/s$n"; }
# started_worker ATTEMPT: the process that runs attempt ATTEMPT of job n
started_worker() {
	wait_line "$node_log" "job_running job=$n .* attempt=$1\$" 60 "$node_pid" > /dev/null
	while worker=$(pgrep -P "$node_pid" -f -- --worker) && [ -z "$worker" ]; do :; done
	[ -n "$worker" ] || until worker=$(pgrep -P "$node_pid" -f -- --worker); do kill -0 "$node_pid"; done
}
ended() { wait_line "$node_log" "job_$1 job=$n " 60 "$node_pid" > /dev/null; job $n > "$work/job"; }
works() { next_study; send; wait_line "$node_log" "job_(done|failed|rejected) job=$n " 120 "$node_pid" > "$work/line"; grep -q job_done "$work/line" || fail "the next study: $(cat "$work/line")"; }

# A job lasts longer than the shell needs to strike in the middle of it, on a busy machine too.
case $B in *asan*|*tsan*) slow='.threads = 1' ;; *) slow='.threads = 1 | .models[0].name = "glioma-flair@1.0.0"' ;; esac
write_config "$work/segand.json" '.series_complete_trigger = 1 | .max_attempts = 2 | .job_timeout = 120 | '"$slow $(limits)"
start_node "$work/segand.json"

# ---- what a worker is: a process with no way out
works
started_worker 1
same "seccomp of the worker" "$(awk '/^Seccomp:/ { print $2 }' "/proc/$worker/status")" 2
same "new privileges of the worker" "$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$worker/status")" 1
same "sockets of the worker" "$(find "/proc/$worker/fd" -lname 'socket:*' 2>/dev/null | wc -l)" 0
same "core files of the worker" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$worker/limits")" "0 0"

# ---- killed between two jobs: no attempt is lost
kill -KILL "$worker"
works
same "attempts after a death between jobs" "$(job $n | jq .attempt)" 1

# ---- killed at every attempt
next_study; send
for attempt in 1 2; do # a blow between job_running and the order costs no attempt: strike until one does
	started_worker $attempt
	until grep -qE "job_(attempt_failed|failed|done) job=$n .*attempt=$attempt " "$node_log"; do kill -KILL "$(pgrep -P "$node_pid" -f -- --worker)" 2> /dev/null || kill -0 "$node_pid"; done
done
ended failed
same "state after two deaths" "$(jq -r .state "$work/job")" failed
same "attempts" "$(jq -r .attempt "$work/job")" 2
holds "reason after two deaths" "$(jq -r .reason "$work/job")" 'signal 9'
works
# retry: one attempt more
n=$((n - 1)); "$B/segan" jobs retry $n --url "http://$http" > /dev/null
ended done
same "attempts after a retry" "$(jq -r .attempt "$work/job")" 3
n=$((n + 1))
stop_node

# ---- stopped: the time of the job is over, at every attempt
write_config "$work/segand.json" '.series_complete_trigger = 1 | .max_attempts = 2 | .job_timeout = 3 | '"$slow $(limits)"
start_node "$work/segand.json"
next_study; send
for attempt in 1 2; do started_worker $attempt; kill -STOP "$worker"; done
ended failed
holds "reason after silence" "$(jq -r .reason "$work/job")" 'job_timeout'
same "attempts" "$(jq -r .attempt "$work/job")" 2
stop_node

# ---- too little memory: the figure, at once, and no second attempt (a sanitizer's build needs terabytes of address space and cannot show it)
case $B in *asan*|*tsan*) ;; *)
	write_config "$work/segand.json" '.series_complete_trigger = 1 | .max_attempts = 2 | .job_timeout = 3 | .worker_memory_mb = 256'
	start_node "$work/segand.json"
	next_study
	/usr/bin/python3 - "$work/s$n" <<'P'
import glob, sys, numpy as np, pydicom
for f in glob.glob(sys.argv[1] + '/**/*', recursive=True):
    try: d = pydicom.dcmread(f)
    except Exception: continue
    d.PixelData = np.repeat(np.repeat(d.pixel_array, 6, 0), 6, 1).tobytes()
    d.Rows, d.Columns, d.PixelSpacing = d.Rows * 6, d.Columns * 6, [v / 6 for v in d.PixelSpacing]
    d.save_as(f)
P
	send
	ended rejected
	holds "reason with 256 MB" "$(jq -r .reason "$work/job")" 'needs [0-9]+ MB, worker_memory_mb is 256: [0-9]+ slices of Rows'
	same "attempts with 256 MB" "$(jq -r .attempt "$work/job")" 1
	echo "256 MB: $(jq -r .reason "$work/job")"
	stop_node ;;
esac

write_config "$work/segand.json" '.series_complete_trigger = 1 '"$(limits)"
start_node "$work/segand.json"
works
stop_node
[ -z "$(ls "$work/data/work" 2>/dev/null)" ] || fail "work folders are left: $(ls "$work/data/work")"
no_identity "$node_log" "$work/data/segand.db" "$work/job"
echo "a worker's end costs attempts of one job"
