/* Every address this node answers: the table of contents of service/http. A new route is one row here and its path in the OpenAPI file. */
#include "service/http/handlers.h"

#define JSON { "application/json" }
#define DICOM_JSON { "application/dicom+json", "application/json" }

const struct route routes[] = {
	{ "POST", "/dicom-web/studies", stow_answer, .produces = DICOM_JSON, .upload = &stow_upload },
	{ "POST", "/dicom-web/studies/{study}", stow_answer, .produces = DICOM_JSON, .upload = &stow_upload },
	{ "GET", "/api/v1/jobs", jobs_list_answer, .query = "state study model since limit cursor ", .produces = JSON },
	{ "GET", "/api/v1/jobs/{id}", job_answer, .produces = JSON },
	{ "GET", "/api/v1/jobs/{id}/seg", job_seg_answer, .produces = { "application/dicom" } },
	{ "GET", "/api/v1/jobs/{id}/report", job_report_answer, .produces = { "application/dicom" } },
	{ "GET", "/api/v1/jobs/{id}/preview.png", job_preview_answer, .produces = { "image/png" } },
	{ "POST", "/api/v1/jobs/{id}/retry", job_retry_answer, .produces = JSON },
	{ "POST", "/api/v1/jobs/{id}/cancel", job_cancel_answer, .produces = JSON },
	{ "GET", "/api/v1/series/{uid}/decision", series_decision_answer, .produces = JSON },
	{ "POST", "/api/v1/rules/test", rules_test_answer, .produces = JSON, .upload = &rules_test_upload },
	{ "GET", "/api/v1/models", models_answer, .produces = JSON },
	{ "GET", "/health", health_answer, .query = NULL },
	{ "GET", "/ready", ready_answer, .query = NULL },
	{ "GET", "/metrics", metrics_answer, .query = NULL },
};
const size_t n_routes = sizeof routes / sizeof routes[0];
