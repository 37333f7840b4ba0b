// Process-wide start of DCMTK: dictionary and logger. Sets no network option (scp.cc, scu.cc) and registers no codec (jpeg.cc).
//
// DESIGN of the logger: DCMTK's lines, of warn and above, become lines of ours from whatever thread wrote them; the appender is called under
// DCMTK's own lock of that appender. A line may carry a value of the data set, so it is cut before the first quotation mark, '[' or '=' and loses all that is not
// printable ASCII; DCMTK's file and line say the rest. At most LINES_A_SECOND pass, so that no input can fill the log.
#include "dicom/dicom.h"
#include "dicom/shim.hh"
#include "config/clock.h"
#include "config/log.h"

#include <dcmtk/dcmdata/dcdict.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/oflog/appender.h>
#include <dcmtk/oflog/oflog.h>
#include <dcmtk/oflog/spi/logevent.h>

#include <cstring>
#include <mutex>

enum { LINES_A_SECOND = 20 };

class log_appender : public dcmtk::log4cplus::Appender {
public:
	~log_appender() override { destructorImpl(); }
	void close() override { closed = true; }

protected:
	void append(const dcmtk::log4cplus::spi::InternalLoggingEvent &event) override;

private:
	int64_t second = 0; // of the last line
	unsigned n_lines = 0;
};

static void
safe_text(const char *line, char *text, size_t size)
{
	size_t n = 0;

	for (; *line != '\0' && strchr("'\"`[=", *line) == NULL && n + 1 < size; line++)
		if (*line >= 0x20 && *line < 0x7f)
			text[n++] = *line;
	text[n] = '\0';
}

static thread_local unsigned n_corrupt;

unsigned
shim_n_corrupt(void)
{
	return n_corrupt;
}

// Lines that are no news: our own stop before compressed pixels (part10.cc); and what jpeg.cc makes an error of, for the logger is the only way in which
// DCMTK tells of it. Bytes too many between the parts of a JPEG stream harm nothing.
static bool
is_heard(const char *line)
{
	if (strncmp(line, "Corrupt JPEG data", 17) == 0) {
		n_corrupt += strstr(line, "extraneous bytes") == NULL;
		return false;
	}
	return strstr(line, "skipping rest of dataset") == NULL;
}

void
log_appender::append(const dcmtk::log4cplus::spi::InternalLoggingEvent &event)
{
	char text[200];

	if (!is_heard(event.getMessage().c_str()))
		return;
	int64_t now = clock_monotonic_ms() / 1000;

	if (now != second) {
		second = now;
		n_lines = 0;
	}
	if (n_lines++ >= LINES_A_SECOND)
		return;
	safe_text(event.getMessage().c_str(), text, sizeof text);
	const char *file = strrchr(event.getFile().c_str(), '/');
	log_event(LOG_WARN, "dcmtk", "source=%s:%d text=\"%s\"", file != NULL ? file + 1 : event.getFile().c_str(), event.getLine(), text);
}

static int
start(struct err *e)
{
	OFLog::configure(OFLogger::WARN_LOG_LEVEL);
	dcmtk::log4cplus::Logger root = dcmtk::log4cplus::Logger::getRoot();
	root.removeAllAppenders();
	root.addAppender(dcmtk::log4cplus::SharedAppenderPtr(new log_appender));
	if (!dcmDataDict.isDictionaryLoaded())
		return err_set(e, ERR_IO, "DCMTK finds no data dictionary: the Debian package libdcmtk17 brings it; if DCMDICTPATH is set, it must name a good one");
	return 0;
}

extern "C" int
dicom_start(struct err *e)
{
	static std::mutex lock;
	static bool is_started;

	return shim_int(e, [&] {
		std::lock_guard<std::mutex> hold(lock);
		if (!is_started && start(e) != 0)
			return err_note(e, "starting DICOM");
		is_started = true;
		return 0;
	});
}

extern "C" bool
dicom_uid_is_valid(const char *uid)
{
	size_t n = strlen(uid);
	const char *component = uid;

	if (n == 0 || n >= DICOM_UID || strspn(uid, "0123456789.") != n)
		return false;
	for (;;) {
		size_t length = strcspn(component, ".");
		if (length == 0) // a leading zero is against PS3.5 9.1, but UIDs made of a time of day have it
			return false;
		if (component[length] == '\0')
			return true;
		component += length + 1;
	}
}

extern "C" bool
dicom_keyword_is_known(const char *keyword)
{
	return shim_value(false, [&] {
		DcmTagKey tag;
		return shim_tag(keyword, &tag);
	});
}

extern "C" const char *
dicom_software_version(void)
{
	return "segan " SEGAN_VERSION " (DCMTK " OFFIS_DCMTK_VERSION_STRING ")";
}
