/* Which node a command asks over HTTP, and how the two know each other. */
#pragma once
#include "service/commands/common.h"
#include "service/http/client.h"

struct node_options { const char *url, *config, *token_file, *ca_file, *certificate, *key; };
#define NODE_OPTIONS(type, member) \
	{ "url", required_argument, offsetof(type, member.url), 0 }, { "config", required_argument, offsetof(type, member.config), 0 }, \
	{ "token-file", required_argument, offsetof(type, member.token_file), 0 }, { "ca-file", required_argument, offsetof(type, member.ca_file), 0 }, \
	{ "certificate", required_argument, offsetof(type, member.certificate), 0 }, { "key", required_argument, offsetof(type, member.key), 0 }
#define NODE_USAGE \
	"  --url URL      the node, e.g. https://node:8080 (default: as http.bind, http.port and http.tls_certificate of the configuration say)\n" \
	"  --config FILE  the node's configuration (default /etc/segand/segand.json)\n" \
	"  --token-file FILE  holds the token that segan token add showed (default: the file that SEGAN_TOKEN_FILE names)\n" \
	"  --ca-file FILE     who signed the node's certificate, PEM (default: http.tls_certificate without --url, else those that the system trusts)\n" \
	"  --certificate FILE, --key FILE  ours, PEM, where the node asks for one (http.tls_client_ca)\n"

/* The pointers of access are of the options, the environment and ca. */
struct node_address { char url[1024], ca[SETTINGS_PATH]; struct client_access access; };
int node_find(const struct node_options *o, struct node_address *out, struct err *e);
