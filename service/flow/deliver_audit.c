/* See deliver_audit.h. */
#include "service/flow/deliver_audit.h"

#include "config/json.h"

#include <stdio.h>
#include <string.h>

/* Of a URL, without user and port. */
static void
host_of(const char *url, char host[SETTINGS_HOST])
{
	const char *begin = strstr(url, "://"), *at;
	size_t n;

	begin = begin != NULL ? begin + 3 : url;
	n = strcspn(begin, "/?#");
	at = memrchr(begin, '@', n);
	if (at != NULL) {
		n -= (size_t)(at + 1 - begin);
		begin = at + 1;
	}
	if (*begin == '[') {
		begin++;
		n = strcspn(begin, "]/");
	} else if (strcspn(begin, ":") < n) {
		n = strcspn(begin, ":");
	}
	snprintf(host, SETTINGS_HOST, "%.*s", n < SETTINGS_HOST ? (int)n : SETTINGS_HOST - 1, begin);
}

void
deliver_event(const struct attempt *a, const struct ask_peer *to, enum audit_event event, struct delivery_event *out)
{
	bool is_web = a->to->type == DESTINATION_STOW;

	*out = (struct delivery_event) { .entry = { .event = event, .action = event == AUDIT_TRANSFERRED ? 'R' : 'E', .study_uid = a->job->study_uid, .job = a->job->id,
		.destination = a->to->name, .aet = is_web ? NULL : to->dimse.called_aet, .once_since_ms = event == AUDIT_TRANSFERRED ? 0 : a->delivery->created_ms } };
	if (is_web)
		host_of(a->to->url, out->host);
	else
		snprintf(out->host, sizeof out->host, "%s", to->dimse.host != NULL ? to->dimse.host : "");
	out->entry.address = out->host;
}

void
deliver_audit_query(const struct attempt *a, const struct ask_peer *to)
{
	struct delivery_event event;

	deliver_event(a, to, AUDIT_QUERY, &event);
	audit_record(a->node, &event.entry);
}

char *
deliver_objects(const char *const *classes, size_t n)
{
	struct json *list = json_new_array();
	struct err ignored; /* without memory the row goes without them */
	char *text;

	for (size_t i = 0; i < n; i++) {
		struct json *o;
		int64_t same = 0;
		bool is_counted = false;
		for (size_t k = 0; k < n; k++) {
			is_counted = is_counted || (k < i && strcmp(classes[k], classes[i]) == 0);
			same += strcmp(classes[k], classes[i]) == 0;
		}
		if (is_counted)
			continue;
		o = json_new_object();
		json_set_string(o, "sop_class", classes[i]);
		json_set_int(o, "instances", same);
		json_add(list, o);
	}
	text = json_print(list, false, &ignored);
	json_free(list);
	return text;
}
