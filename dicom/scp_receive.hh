// A data set on its way from an association to a file in tmp_dir, bit by bit as sent, behind a meta header of ours (PS3.10 7.1). For scp only.
#pragma once
#include "dicom/scp.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcostrma.h>
#include <dcmtk/ofstd/ofcond.h>

// Swallows what DCMTK writes and never fails towards it: DCMTK's loop would wait for a fragment that never comes when the last one cannot be
// written (LEADS 2). The first error is kept for finish().
class incoming : public DcmOutputStream {
public:
	explicit incoming(int64_t max_bytes);
	~incoming() override;                // removes a file that nobody took

	int open(const char *dir, struct err *e);
	int write_meta(const struct scp_instance *i, const char *calling_aet, struct err *e);
	int finish(struct err *e);           // closes; -1: the first thing that went wrong
	const char *path() const { return name; }
	void taken() { name[0] = '\0'; }     // the file is somebody else's now
	bool is_endless() const { return n_bytes > max_bytes && n_bytes - max_bytes > DRAIN_BYTES; }

private:
	enum : int64_t { DRAIN_BYTES = INT64_C(1) << 30 }; // how much of a data set over the limit is still read, to answer it in words

	OFBool good() const override { return OFTrue; }
	OFCondition status() const override { return EC_Normal; }
	OFBool isFlushed() const override { return OFTrue; }
	offile_off_t avail() const override { return INT32_MAX; }
	offile_off_t write(const void *bytes, offile_off_t n) override;
	void flush() override {}
	offile_off_t tell() const override { return n_bytes; }
	void put(const char *bytes, size_t n);

	const int64_t max_bytes;
	int64_t n_bytes = 0;                 // of the data set, written or not
	int fd = -1;
	bool is_meta = false;
	char name[1200] = "";
	struct err first = {};
};
