/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stream: one connected TCP or unix socket on a worker's ring, with the bytes that have come (a chain of buffers that the
 * owner consumes when it likes) and the bytes that are to go (a bounded queue of pieces, sent in order, one operation in flight). It knows
 * no protocol. It is embedded in its owner's object and owned by it; worker thread only.
 *
 * Backpressure: an owner that does not consume makes the stream stop receiving at STREAM_HOLD bytes; an owner that must not
 * overfill the other side asks stream_room first.
 *
 * Life: stream_open or stream_connect -> (on_input | on_sent | on_timer)* -> stream_close -> the last completion -> on_gone, where the owner
 * may free the memory. Callbacks may call any function here, stream_close included; after stream_close only on_gone comes.
 */
#ifndef FAIRLEAD_ENGINE_STREAM_H
#define FAIRLEAD_ENGINE_STREAM_H

#include "engine/worker.h"

#define STREAM_PIECES 16u            /* pieces in the output queue; at most RING_IOV_MAX */
#define STREAM_HOLD   (64u * 1024u)  /* bytes received and not consumed at which receiving stops; no head may be longer */
#define STREAM_OUTPUT (64u * 1024u)  /* bytes in the output queue at which stream_room ends; one buffer more may be over it */
#define STREAM_COPY   2048u          /* runs up to this length are copied behind what is queued rather than referred to */

struct stream;

struct stream_type {
    /* Bytes have come, or the end (stream_ended). */
    void (*on_input)(struct stream *stream);
    /* A send went out in part or whole: there may be room again. */
    void (*on_sent)(struct stream *stream);
    /* The deadline set with stream_deadline has passed. */
    void (*on_timer)(struct stream *stream);
    /* Of stream_connect: 0, or -errno. NULL where it is not used. */
    void (*on_connected)(struct stream *stream, int error);
    /* Nothing refers to the stream any more; its descriptor is closed. */
    void (*on_gone)(struct stream *stream);
};

struct piece {
    struct buffer *buffer; /* a reference, or NULL for bytes that outlive the stream */
    const uint8_t *data;
    uint32_t len;
};

enum stream_receiving { RECEIVING_OFF, RECEIVING_BLOCKS, RECEIVING_BULK, RECEIVING_STOPPING };

struct stream {
    struct actor actor;          /* first: an actor of this kind is a stream */
    const struct stream_type *type;
    struct worker *worker;
    struct timer timer;
    int fd;
    int input_error;             /* -errno of the receiving side */
    int output_error;            /* -errno of the sending side; nothing can be sent any more */
    struct buffer *input, *input_end;
    struct buffer *bulk;         /* being received into */
    struct buffer *block;        /* where stream_write puts its bytes */
    uint64_t received, sent;     /* bytes, in all */
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t block_used;
    const struct sockaddr *connect_to; /* borrowed until on_connected */
    socklen_t connect_len;
    uint8_t first_piece, n_pieces, n_sending;
    uint8_t receiving;           /* enum stream_receiving */
    bool end_of_input, connecting, sending, shut, closing;
    bool waiting;                /* in a queue of the worker for a buffer to receive into */
    bool bulk_granted;           /* its turn with a bulk buffer has come */
    bool single;                 /* the owner's choice, at any time: one receive at a time instead of a multishot. Dearer for small messages,
                                    cheaper for large ones, whose rest it leaves for the bulk buffers */
    bool heap_granted;           /* no block is to be had: it may receive into the heap */
    bool settling;               /* a bulk receive that has nothing to receive is to be taken back */
    bool paused;                 /* the owner has no use for more bytes now: stream_pause */
    bool filled;                 /* a receive has filled its buffer since the owner cleared this */
    bool bulky;                  /* the last receive filled its buffer: the next goes into a bulk buffer */
    bool doubted;                /* stream_expect found an end that the multishot receive may have missed: it is begun anew */
    bool cancel_wanted;          /* closing: what is in flight must be cancelled */
    struct stream *next;         /* in the worker's closing list, or in one of its queues */
    struct piece pieces[STREAM_PIECES];
};

/*
 * Begins with a connected descriptor, and receives. The stream owns `fd` when it returns true; false: no slot is left, and
 * fd stays the caller's.
 */
bool stream_open(struct stream *stream, struct worker *worker, const struct stream_type *type, int fd)
    __attribute__((warn_unused_result));
/* Makes a socket and connects it; the outcome comes by on_connected. `address` is borrowed until then. Returns 0, or -errno (then nothing was begun). */
int stream_connect(struct stream *stream, struct worker *worker, const struct stream_type *type,
                   const struct sockaddr *address, socklen_t len) __attribute__((warn_unused_result));

/* Input. Pointers are valid until the next stream_consume, stream_gather or stream_move. */

/* The contiguous bytes at the front; *len 0 when none. */
const char *stream_peek(const struct stream *stream, size_t *len);
void stream_consume(struct stream *stream, size_t n);
/*
 * Brings what has come together into one run, on the heap and apart from the shared blocks: for a head that is not whole, and for bytes that
 * will wait. `room` more bytes can then be appended without another copy. Returns false when memory is short.
 */
bool stream_gather(struct stream *stream, uint32_t room) __attribute__((warn_unused_result));
/* True when the peer will send nothing more, and all that came was consumed. */
static inline bool stream_ended(const struct stream *stream)
{
    return stream->end_of_input && stream->input_bytes == 0;
}

/*
 * The owner is in the middle of a message and waits for more. A reset that came together with the last bytes may have been lost: a multishot
 * receive takes the bytes, and looks again only when something new happens. Costs a system call; between messages it is not worth one.
 */
void stream_expect(struct stream *stream);
/* Bytes that may be queued for sending now in one run; 0 when the queue is full or broken. Small writes always fit while it is not 0. */
size_t stream_room(const struct stream *stream);
/* Whether `from` should pause, whose bytes go to `to`: there is no room; or large buffers come, and the last one has not left yet. A slow
 * reader so holds one of them, not two. */
static inline bool stream_is_ahead(const struct stream *from, const struct stream *to)
{
    return stream_room(to) == 0 || (from->bulky && to->output_bytes > 0);
}
/*
 * While paused no bulk receive is begun. Blocks still come up to STREAM_HOLD from a peer that sends little, so that its end is noticed;
 * the end of one that fills whole buffers shows when the pause ends.
 */
void stream_pause(struct stream *stream, bool paused);
/* True when it is we who do not receive: a silent peer is not to blame. */
static inline bool stream_is_held(const struct stream *stream)
{
    return stream->paused || stream->waiting;
}
/* A message has ended, and nothing large is expected: what waits from now on holds no bulk buffer. Also ends a pause. */
void stream_settle(struct stream *stream);

/* Output. */

/* Copies. Returns false when the queue is full or memory is short; then nothing was queued. */
bool stream_write(struct stream *stream, const void *data, size_t len) __attribute__((warn_unused_result));
/* Room for a head of up to `size` bytes, to be written in place: in a block, or on the heap where it is larger than one. NULL when memory is
 * short or the queue is full. */
char *stream_reserve(struct stream *stream, size_t size) __attribute__((warn_unused_result));
void stream_commit(struct stream *stream, size_t len);
/* Refers to bytes that live as long as the stream (constant text, or a snapshot the owner holds). */
bool stream_write_static(struct stream *stream, const void *data, size_t len) __attribute__((warn_unused_result));
/* Refers to bytes of a buffer, and takes a reference of its own. */
bool stream_write_buffer(struct stream *stream, struct buffer *buffer, uint32_t from, uint32_t len)
    __attribute__((warn_unused_result));
/* Moves n bytes from one stream's input to another's output, by reference where that is cheaper. The caller asked stream_room before, and
 * moves one contiguous run (stream_peek). Returns how many were moved: fewer when memory is short. */
size_t stream_move(struct stream *from, struct stream *to, size_t n);
static inline bool stream_idle_output(const struct stream *stream)
{
    return stream->n_pieces == 0 && !stream->sending;
}
/* Bytes that the peer's kernel has acknowledged, never more: costs a system call, for slow paths. */
uint64_t stream_acknowledged(const struct stream *stream);
/* Ends our direction once the queue is empty: the owner calls it in that state. */
void stream_shutdown(struct stream *stream);

/* The deadline: on_timer is called at or after it, once. UINT64_MAX: none. */
void stream_deadline(struct stream *stream, uint64_t deadline_ms);

/* Ends the stream: what was not sent is dropped. With `reset` the peer sees RST instead of a regular end. */
void stream_close(struct stream *stream, bool reset);

/* For the worker's loop: frees streams whose last completion has come; wakes streams that wait for blocks. */
void streams_reap(struct worker *worker);
void streams_feed(struct worker *worker);

#endif
