/* See tls.h. The checks are made with the calls that libmicrohttpd makes later without saying which file was wrong. */
#include "service/http/tls.h"

#include "config/clock.h"
#include "config/file.h"
#include "config/log.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { MAX_BYTES = 1 << 20, MAX_CHAIN = 16 /* certificates, as many as GnuTLS follows */, SOON_MS = 14 * 86400 * 1000 };

/* RFC 9325 3.1.1, 4.2: no SSL, no TLS 1.0 and 1.1, no RSA key exchange, no CBC; RFC 9325 4.4, 4.5: certificates of RSA 2048 and SHA-256 at least. */
const char tls_priorities[] = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:"
	"-MAC-ALL:+AEAD:%SERVER_PRECEDENCE:%PROFILE_MEDIUM";

struct tls {
	const struct settings *settings;
	pthread_mutex_t lock;                /* around certificate, key and the marks */
	struct { dev_t device; ino_t inode; struct timespec changed; off_t size; } marks[2]; /* of the files when they were read, or in vain */
	char *certificate, *key, *client_ca; /* PEM texts with their end; client_ca NULL: none */
	size_t n_certificate, n_key, n_client_ca;
};

const char *
tls_client_ca(const struct tls *t)
{
	return t->client_ca;
}

static void
forget_pair(struct tls *t)
{
	if (t->key != NULL)
		explicit_bzero(t->key, t->n_key);
	free(t->certificate);
	free(t->key);
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	forget_pair(t);
	free(t->client_ca);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static int
refuse(struct err *e, const char *setting, const char *path, const char *what)
{
	return err_set(e, ERR_INPUT, "http.%s %s: %s", setting, path, what);
}

static char *
read_pem(const char *setting, const char *path, size_t *n, struct err *e)
{
	char *text = file_read(path, MAX_BYTES, n, e);

	if (text == NULL) {
		err_note(e, "http.%s", setting);
		if (e->code == ERR_NOT_FOUND || e->code == ERR_IO)
			e->code = ERR_INPUT;                              /* a setting that is wrong, not a disk that may get well */
	}
	return text;
}

static void
warn_of_expiry(const char *path, const gnutls_x509_crt_t certificate)
{
	int64_t ends_ms = (int64_t)gnutls_x509_crt_get_expiration_time(certificate) * 1000;
	char text[CLOCK_TEXT];

	if (ends_ms - clock_ms() > SOON_MS)
		return;
	clock_text(ends_ms, text);
	log_event(LOG_WARN, "tls_certificate_ends", "file=%s ends=%s text=\"clients will refuse it from then on\"", path, text);
}

/* A list of certificates, the first of them ours. */
static int
check_certificates(const char *setting, const char *path, const char *text, size_t n, struct err *e)
{
	const gnutls_datum_t pem = { .data = (unsigned char *)(uintptr_t)text, .size = (unsigned)n };
	gnutls_x509_crt_t *list = NULL;
	unsigned count = 0;
	bool is_long;
	int rc = gnutls_x509_crt_list_import2(&list, &count, &pem, GNUTLS_X509_FMT_PEM, 0);

	if (rc < 0 || count == 0)
		return refuse(e, setting, path, strstr(text, "BEGIN CERTIFICATE-----") == NULL ? "there is no PEM certificate in it" : gnutls_strerror(rc));
	warn_of_expiry(path, list[0]);
	is_long = count > MAX_CHAIN && strcmp(setting, "tls_certificate") == 0;
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return is_long ? refuse(e, setting, path, "a chain of more than 16 certificates") : 0;
}

static int
check_key(const struct settings *s, const struct tls *t, struct err *e)
{
	const gnutls_datum_t pem = { .data = (unsigned char *)t->key, .size = (unsigned)t->n_key };
	gnutls_x509_privkey_t key;
	struct stat st;
	int rc = gnutls_x509_privkey_init(&key);

	if (rc == 0) {
		rc = gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
		gnutls_x509_privkey_deinit(key);
	}
	if (rc < 0 && strstr(t->key, "ENCRYPTED") != NULL)
		return refuse(e, "tls_key", s->http.tls_key, "it is encrypted, and a daemon has nobody to ask for the password");
	if (rc < 0)
		return refuse(e, "tls_key", s->http.tls_key, strstr(t->key, "PRIVATE KEY-----") == NULL ? "there is no PEM key in it" : gnutls_strerror(rc));
	if (stat(s->http.tls_key, &st) == 0 && (st.st_mode & 077) != 0)
		log_event(LOG_WARN, "tls_key_open", "file=%s mode=%03o text=\"others may read the private key: chmod 600\"", s->http.tls_key, (unsigned)st.st_mode & 0777);
	return 0;
}

static int
check_pair(const struct settings *s, const struct tls *t, struct err *e)
{
	const gnutls_datum_t certificate = { .data = (unsigned char *)t->certificate, .size = (unsigned)t->n_certificate };
	const gnutls_datum_t key = { .data = (unsigned char *)t->key, .size = (unsigned)t->n_key };
	gnutls_certificate_credentials_t credentials;
	int rc = gnutls_certificate_allocate_credentials(&credentials);

	if (rc < 0)
		return err_set(e, ERR_LIMIT, "TLS: %s", gnutls_strerror(rc));
	rc = gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(credentials);
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return err_set(e, ERR_INPUT, "http.tls_key %s is not the key of the first certificate in http.tls_certificate %s", s->http.tls_key, s->http.tls_certificate);
	return rc < 0 ? err_set(e, ERR_INPUT, "http.tls_certificate %s with http.tls_key %s: %s", s->http.tls_certificate, s->http.tls_key, gnutls_strerror(rc)) : 0;
}

static int
load_pair(const struct settings *s, struct tls *t, struct err *e)
{
	t->certificate = read_pem("tls_certificate", s->http.tls_certificate, &t->n_certificate, e);
	if (t->certificate == NULL || check_certificates("tls_certificate", s->http.tls_certificate, t->certificate, t->n_certificate, e) != 0)
		return -1;
	t->key = read_pem("tls_key", s->http.tls_key, &t->n_key, e);
	return t->key == NULL || check_key(s, t, e) != 0 || check_pair(s, t, e) != 0 ? -1 : 0;
}

static int
load_client_ca(const struct settings *s, struct tls *t, struct err *e)
{
	const char *ca = s->http.tls_client_ca;

	if (ca[0] == 0)
		return 0;
	t->client_ca = read_pem("tls_client_ca", ca, &t->n_client_ca, e);
	return t->client_ca == NULL ? -1 : check_certificates("tls_client_ca", ca, t->client_ca, t->n_client_ca, e);
}

/* Since it was asked last. Under the lock. */
static bool
has_changed(struct tls *t)
{
	const char *const paths[] = { t->settings->http.tls_certificate, t->settings->http.tls_key };
	bool is_other = false;

	for (size_t i = 0; i < 2; i++) {
		struct stat st;
		if (stat(paths[i], &st) != 0)
			memset(&st, 0, sizeof st);   /* not there just now, or not for us */
		is_other = is_other || st.st_dev != t->marks[i].device || st.st_ino != t->marks[i].inode || st.st_size != t->marks[i].size ||
			st.st_mtim.tv_sec != t->marks[i].changed.tv_sec || st.st_mtim.tv_nsec != t->marks[i].changed.tv_nsec;
		t->marks[i].device = st.st_dev;
		t->marks[i].inode = st.st_ino;
		t->marks[i].size = st.st_size;
		t->marks[i].changed = st.st_mtim;
	}
	return is_other;
}

struct tls *
tls_load(const struct settings *s, struct err *e)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL) {
		err_errno(e, "TLS");
		return NULL;
	}
	t->settings = s;
	pthread_mutex_init(&t->lock, NULL);
	(void)has_changed(t);                /* before they are read */
	if (load_pair(s, t, e) == 0 && load_client_ca(s, t, e) == 0)
		return t;
	tls_free(t);
	return NULL;
}

/* The numeric address of the other side; "": it is gone. */
static void
peer_of(gnutls_session_t session, char address[NI_MAXHOST])
{
	struct sockaddr_storage peer;
	socklen_t n = sizeof peer;

	if (getpeername(gnutls_transport_get_int(session), (struct sockaddr *)&peer, &n) != 0 ||
	    getnameinfo((struct sockaddr *)&peer, n, address, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) != 0)
		address[0] = '\0';
}

/* Called in the handshake, also when there is no certificate. Nonzero ends it. */
static int
verify(gnutls_session_t session)
{
	static const char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
	const struct tls_guard *guard = gnutls_session_get_ptr(session);
	gnutls_typed_vdata_st wanted = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)purpose, .size = 0 };
	char address[NI_MAXHOST];
	unsigned status = 0;
	int rc = gnutls_certificate_verify_peers(session, &wanted, 1, &status);

	if (rc == 0 && status == 0)
		return 0;
	peer_of(session, address);
	guard->refused(guard->arg, address, rc == GNUTLS_E_NO_CERTIFICATE_FOUND ? "it showed no certificate, http.tls_client_ca asks for one"
		: rc < 0 ? gnutls_strerror(rc) : "its certificate is not signed by http.tls_client_ca, or not valid");
	return GNUTLS_E_CERTIFICATE_ERROR;
}

/* A client's certificate is asked for and not required by GnuTLS: then verify hears of those who have none, too. */
void
tls_begin(void *session, const struct tls_guard *guard)
{
	gnutls_session_set_ptr(session, (void *)(uintptr_t)guard); /* the library's own use of it is for pre-shared keys */
	if (tls_client_ca(guard->tls) == NULL)
		return;
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	gnutls_session_set_verify_function(session, verify);
}

/* ---- what we show ---- */

/* Of files that cannot be used together, as between the change of one and of the other, the old ones stay. Under the lock. */
static void
renew(struct tls *t)
{
	struct tls renewed = { .settings = t->settings };
	struct err e;

	if (!has_changed(t))
		return;
	if (load_pair(t->settings, &renewed, &e) != 0) {
		log_event(LOG_ERROR, "tls_not_renewed", "text=\"the certificate from before stays in use: %s\"", e.text);
		forget_pair(&renewed);
		return;
	}
	forget_pair(t);
	t->certificate = renewed.certificate;
	t->n_certificate = renewed.n_certificate;
	t->key = renewed.key;
	t->n_key = renewed.n_key;
	log_event(LOG_INFO, "tls_renewed", "certificate=%s", t->settings->http.tls_certificate);
}

static int
import(const struct tls *t, gnutls_pcert_st *list, unsigned *n, gnutls_privkey_t *key)
{
	const gnutls_datum_t certificate = { .data = (unsigned char *)t->certificate, .size = (unsigned)t->n_certificate };
	const gnutls_datum_t secret = { .data = (unsigned char *)t->key, .size = (unsigned)t->n_key };
	int rc = gnutls_privkey_init(key);

	if (rc < 0)
		return rc;
	rc = gnutls_privkey_import_x509_raw(*key, &secret, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rc >= 0)
		rc = gnutls_pcert_list_import_x509_raw(list, n, &certificate, GNUTLS_X509_FMT_PEM, 0);
	if (rc < 0)
		gnutls_privkey_deinit(*key);
	return rc;
}

/* Called in each handshake. What it gives is GnuTLS's to free. */
int
tls_show(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certificates, unsigned *n, gnutls_ocsp_data_st **ocsp, unsigned *n_ocsp,
	gnutls_privkey_t *key, unsigned *flags)
{
	struct tls *t = ((const struct tls_guard *)gnutls_session_get_ptr(session))->tls;
	gnutls_pcert_st *list = gnutls_calloc(MAX_CHAIN, sizeof *list);
	unsigned count = MAX_CHAIN;
	int rc;

	(void)info;
	if (list == NULL)
		return -1;
	pthread_mutex_lock(&t->lock);
	renew(t);
	rc = import(t, list, &count, key);
	pthread_mutex_unlock(&t->lock);
	if (rc < 0) {
		gnutls_free(list);
		return -1;
	}
	*certificates = list;
	*n = count;
	*ocsp = NULL;
	*n_ocsp = 0;
	*flags = GNUTLS_CERT_RETR_DEINIT_ALL;
	return 0;
}
