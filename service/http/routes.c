/* Every address this node answers: the table of contents of service/http. A new route is one row here and its path in the OpenAPI file. */
#include "service/http/handlers.h"

#define JSON { "application/json" }
#define DICOM_JSON { "application/dicom+json", "application/json" }
#define VIEWER .needs = AUTH_VIEWER          /* reading, and asking the rules, which changes nothing */
#define OPERATOR .needs = AUTH_OPERATOR      /* what changes jobs; bringing images, which makes some */
#define ADMIN .needs = AUTH_ADMIN            /* who did what */
#define ANYBODY .needs = AUTH_NOBODY         /* alive? ready? and the way in */

const struct route routes[] = {
	{ "POST", "/dicom-web/studies", stow_answer, OPERATOR, .produces = DICOM_JSON, .upload = &stow_upload },
	{ "POST", "/dicom-web/studies/{study}", stow_answer, OPERATOR, .produces = DICOM_JSON, .upload = &stow_upload },
	{ "GET", "/api/v1/jobs", jobs_list_answer, VIEWER, .query = "state study model since limit cursor ", .produces = JSON },
	{ "GET", "/api/v1/jobs/{id}", job_answer, VIEWER, .produces = JSON },
	{ "GET", "/api/v1/jobs/{id}/seg", job_seg_answer, VIEWER, .produces = { "application/dicom" } },
	{ "GET", "/api/v1/jobs/{id}/report", job_report_answer, VIEWER, .produces = { "application/dicom" } },
	{ "GET", "/api/v1/jobs/{id}/preview.png", job_preview_answer, VIEWER, .produces = { "image/png" } },
	{ "POST", "/api/v1/jobs/{id}/retry", job_retry_answer, OPERATOR, .produces = JSON },
	{ "POST", "/api/v1/jobs/{id}/cancel", job_cancel_answer, OPERATOR, .produces = JSON },
	{ "POST", "/api/v1/jobs/{id}/deliveries/{destination}/give-up", job_give_up_answer, OPERATOR, .produces = JSON },
	{ "GET", "/api/v1/series/{uid}/decision", series_decision_answer, VIEWER, .produces = JSON },
	{ "POST", "/api/v1/rules/test", rules_test_answer, VIEWER, .produces = JSON, .upload = &rules_test_upload },
	{ "GET", "/api/v1/models", models_answer, VIEWER, .produces = JSON },
	{ "GET", "/api/v1/audit", audit_answer, ADMIN, .query = "study since limit cursor ", .produces = JSON },
	{ "POST", "/api/v1/session", session_open_answer, ANYBODY, .produces = JSON, .upload = &session_upload },
	{ "GET", "/api/v1/session", session_answer, VIEWER, .produces = JSON },
	{ "DELETE", "/api/v1/session", session_end_answer, VIEWER },
	{ "GET", "/health", health_answer, ANYBODY },
	{ "GET", "/ready", ready_answer, ANYBODY },
	{ "GET", "/metrics", metrics_answer, VIEWER },
};
const size_t n_routes = sizeof routes / sizeof routes[0];
