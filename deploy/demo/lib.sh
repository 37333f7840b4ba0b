#!/bin/bash
# Shell functions of the demo and of the end-to-end tests: start the node and a receiving archive on free ports, wait for lines, stop by process id.
# Expects $B (the build folder) and $work (a folder to work in). For bash.

started=()                      # process ids to stop at the end

stop_all() {
	local pid
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
	started=()
}

# wait_line FILE PATTERN SECONDS [PID]: until a line of FILE fits, or PID is gone, or the time is over. Prints the line.
wait_line() {
	local found
	found=$(timeout "$3" tail -n +1 -F ${4:+--pid="$4"} "$1" 2>/dev/null | grep -m 1 -E -- "$2") || true
	[ -n "$found" ] || { echo "no line \"$2\" in $1 within $3 s; its end:" >&2; tail -n 20 "$1" >&2; return 1; }
	echo "$found"
}

free_port() { # a port that nothing listens on now, below those that the kernel gives to connections of its own choice
	local port
	while :; do
		port=$((20000 + RANDOM % 12768))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

# start_archive NAME [storescp options]: DCMTK's storescp writing to $work/NAME; sets archive_port and archive_pid.
start_archive() {
	local name=$1; shift
	mkdir -p "$work/$name"
	while :; do
		archive_port=$(free_port)
		storescp --bit-preserving -od "$work/$name" -aet ARCHIVE "$@" "$archive_port" > "$work/$name.log" 2>&1 &
		archive_pid=$!
		until echoscu -q -aec ARCHIVE 127.0.0.1 "$archive_port" 2>/dev/null; do kill -0 "$archive_pid" 2>/dev/null || continue 2; done
		started+=("$archive_pid")
		return
	done
}

# write_config FILE JQ-PROGRAM [jq options]: the shipped configuration, changed for a throw-away node.
write_config() {
	local file=$1 program=$2; shift 2
	"$B/segand" --config config/segand.json --check 2>/dev/null | jq "$@" --arg data "$work/data" --arg models "${SEGAN_MODELS:-$PWD/model/shipped}" \
		'.data_dir = $data | .models_dir = $models | .dicom.bind = "127.0.0.1" | .dicom.port = 0 | .dicom.accept_unknown_peers = true | .http.port = 0
		| .disk_reserve_mb = 64 | .audit.syslog = null | '"$program" > "$file"
}

# start_node CONFIG: segand; sets node_pid, node_log, http (address:port), dicom_port.
start_node() {
	local line
	node_log=${node_log:-$work/segand.log}
	: >> "$node_log"
	local skip; skip=$(wc -l < "$node_log")
	"$B/segand" --config "$1" >> "$node_log" 2>&1 &
	node_pid=$!
	started+=("$node_pid")
	line=$(timeout 120 tail -n "+$((skip + 1))" -F --pid="$node_pid" "$node_log" 2>/dev/null | grep -m 1 '^ready ') || true # tail is cut off by grep's end
	[ -n "$line" ] || { echo "segand did not become ready:" >&2; tail -n 20 "$node_log" >&2; return 1; }
	http=${line#*http*=}; http=${http%% *} # https= with TLS
	dicom_port=${line##*dicom=}; dicom_port=${dicom_port%% *}
}

stop_node() { # in good order; fails when it takes over 5 s (STOP_SECONDS) or its status is not 0
	local status=0 began=$SECONDS
	kill -TERM "$node_pid"
	wait "$node_pid" || status=$?
	[ "$status" = 0 ] && [ $((SECONDS - began)) -le "${STOP_SECONDS:-5}" ] || { echo "segand stopped with status $status after $((SECONDS - began)) s" >&2; return 1; }
}

# stow_body OUT FILE...: a multipart/related body with boundary "segan-demo".
stow_body() {
	local out=$1 file; shift
	for file in "$@"; do
		printf -- '--segan-demo\r\nContent-Type: application/dicom\r\n\r\n'; cat "$file"; printf '\r\n'
	done > "$out"
	printf -- '--segan-demo--\r\n' >> "$out"
}

# stow BODY [PATH]: posts it; prints the answer's body, then its HTTP status on a line of its own.
stow() {
	curl -sS -X POST -H 'Content-Type: multipart/related; type="application/dicom"; boundary=segan-demo' -H 'Accept: application/dicom+json' \
		--data-binary "@$1" -w '\n%{http_code}\n' "http://$http/dicom-web/studies${2:-}"
}

# another_study DIR...: new UIDs for the files of a study (they keep their frame of reference): a copy that the node takes for another study.
another_study() {
	local files=("$1"/*) study series
	study=$(dcmdump -q +P StudyInstanceUID "${files[0]}" | sed 's/.*\[\(.*\)\].*/\1/')
	series=$(dcmdump -q +P SeriesInstanceUID "${files[0]}" | sed 's/.*\[\(.*\)\].*/\1/')
	dcmodify -q -nb -gin -m "StudyInstanceUID=$study.${2:-2}" -m "SeriesInstanceUID=$series.${2:-2}" "${files[@]}"
}
