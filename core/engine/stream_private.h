/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between stream.c, stream_input.c and stream_output.c only: what the ring tells and asks each half of a stream. */
#ifndef FAIRLEAD_ENGINE_STREAM_PRIVATE_H
#define FAIRLEAD_ENGINE_STREAM_PRIVATE_H

#include "engine/stream.h"

void stream_input_complete(struct stream *stream, const struct completion *completion);
void stream_output_complete(struct stream *stream, const struct completion *completion);
/* Issue what the half wants; false: the submission queue is full. */
bool stream_input_flush(struct stream *stream);
bool stream_output_flush(struct stream *stream);
void stream_input_drop(struct stream *stream);
void stream_output_drop(struct stream *stream);

static inline void stream_mark(struct stream *stream)
{
    ring_mark(stream->worker->ring, &stream->actor);
}

#endif
