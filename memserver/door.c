/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "door.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handshake.h"
#include "id16.h"
#include "known.h"
#include "log.h"

/* The whole handshake, from accept on. */
#define HANDSHAKE_US (5 * G_USEC_PER_SEC)
/* How long to wait for the peer to have read the last words. */
#define LINGER_US (1 * G_USEC_PER_SEC)
/* Events that are taken at one time. */
#define EVENTS 64

typedef enum
{
  PLACE_SHAKES,
  PLACE_LINGERS,
  PLACE_THREAD, /* is not polled: its thread does it */
} PlaceKind;

typedef struct
{
  guint64 id; /* grows: a smaller one came earlier */
  PlaceKind kind;
  gboolean known; /* its host was, when it came */
  HermitPeer peer;
  gint64 deadline;
  int fd;
  HermitHandshake handshake;

  void (*evict) (gpointer data); /* PLACE_THREAD; NULL when called */
  gpointer data;
} Place;

struct HermitDoor
{
  HermitServer *server;
  guint max_places;
  HermitProved proved;
  GMutex lock;
  GHashTable *places; /* id -> Place */
  HermitKnown *known; /* hosts that had a client */
  guint64 last_id;
  gboolean closed; /* nobody is admitted */
  gboolean ending; /* the thread ends with the last place */
  guint64 drops[HERMIT_DROPS];
  int epoll;
  int wake;
  GThread *thread;
};

const char *
hermit_drop_name (HermitDrop drop)
{
  static const char *const names[] = { "silent", "left", "crowded" };

  return names[drop];
}

/* ---- places ---- */

static void
door_wake (HermitDoor *door)
{
  guint64 one = 1;

  if (write (door->wake, &one, sizeof (one)) < 0)
    return; /* it is full of wake-ups already */
}

static void
place_free (gpointer data)
{
  Place *place = data;

  hermit_handshake_clear (&place->handshake);
  g_free (place);
}

/* Its descriptor, if it has one, is the caller's now. */
static int
place_take (HermitDoor *door, Place *place)
{
  int fd = place->fd;

  if (fd >= 0)
    epoll_ctl (door->epoll, EPOLL_CTL_DEL, fd, NULL);
  place->fd = -1;
  g_hash_table_remove (door->places, &place->id);
  return fd;
}

static void
place_close (HermitDoor *door, Place *place)
{
  close (place_take (door, place));
}

static void
place_drop (HermitDoor *door, Place *place, HermitDrop drop, const char *why)
{
  /* A place that lingers was counted when it was refused. */
  if (place->kind != PLACE_LINGERS)
    {
      door->drops[drop]++;
      hermit_log_stranger (G_LOG_LEVEL_MESSAGE,
                           (HermitLogAbout){ .peer = place->peer.name },
                           "%s: no %s: %s", place->peer.name,
                           place->kind == PLACE_SHAKES
                               ? hermit_handshake_due (&place->handshake)
                               : "handshake",
                           why);
    }
  if (place->kind == PLACE_THREAD)
    {
      place->evict (place->data);
      place->evict = NULL;
    }
  else
    place_close (door, place);
}

/* What there is to know before one more comes: who would have to go. */
typedef struct
{
  guint count;
  Place *first; /* to go */
} Crowd;

/* Those who have been told all there is go first. */
static gboolean
goes_before (const Place *a, const Place *b)
{
  gboolean a_lingers = a->kind == PLACE_LINGERS;
  gboolean b_lingers = b->kind == PLACE_LINGERS;

  return a_lingers != b_lingers ? a_lingers : a->id < b->id;
}

static void
crowd_add (Crowd *crowd, Place *place)
{
  crowd->count++;
  if (!crowd->first || goes_before (place, crowd->first))
    crowd->first = place;
}

/* Whoever only lingers displaces nobody who has still to be heard. */
static gboolean
door_drop (HermitDoor *door, Place *place, PlaceKind kind, const char *why)
{
  if (kind == PLACE_LINGERS && place->kind != PLACE_LINGERS)
    return FALSE;
  place_drop (door, place, HERMIT_DROP_CROWDED, why);
  return TRUE;
}

/*
 * Make room for a connection from @peer, see door.h. FALSE if there is none:
 * only to linger, or for threads, which take their time to go.
 */
static gboolean
door_make_room (HermitDoor *door, const HermitPeer *peer, PlaceKind kind,
                gboolean known)
{
  gboolean threads = kind == PLACE_THREAD;
  guint places = threads ? HERMIT_DOOR_THREADS : door->max_places;
  guint share
      = places / (known ? HERMIT_DOOR_KNOWN_SHARE : HERMIT_DOOR_STRANGER_SHARE);
  Crowd host = { 0, NULL }, half = { 0, NULL };
  GHashTableIter iter;
  gpointer value;
  guint going = 0;

  g_hash_table_iter_init (&iter, door->places);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Place *place = value;

      if ((place->kind == PLACE_THREAD) != threads)
        continue;
      if (threads && !place->evict)
        {
          going++;
          continue;
        }
      if (place->known != known)
        continue;
      crowd_add (&half, place);
      if (hermit_id16_equal (place->peer.host, peer->host))
        crowd_add (&host, place);
    }
  if (going >= places)
    return FALSE;
  if (host.count >= share)
    return door_drop (door, host.first, kind,
                      "others from the same host need its place");
  if (half.count >= places / 2)
    return door_drop (door, half.first, kind, "others need its place");
  return TRUE;
}

static Place *
door_place (HermitDoor *door, const HermitPeer *peer, PlaceKind kind)
{
  gboolean known = hermit_known_has (door->known, peer->host);
  Place *place;

  if (!door_make_room (door, peer, kind, known))
    return NULL;
  place = g_new0 (Place, 1);
  place->id = ++door->last_id;
  place->kind = kind;
  place->known = known;
  place->peer = *peer;
  place->fd = -1;
  g_hash_table_insert (door->places, &place->id, place);
  return place;
}

/* A place for @fd, polled; NULL, and @fd closed, if there is none. */
static Place *
door_place_fd (HermitDoor *door, int fd, const HermitPeer *peer,
               PlaceKind kind, gint64 patience)
{
  Place *place = door_place (door, peer, kind);
  struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };

  if (!place)
    {
      close (fd);
      return NULL;
    }
  event.data.u64 = place->id;
  place->deadline = g_get_monotonic_time () + patience;
  place->fd = fd;
  if (epoll_ctl (door->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
    {
      door_wake (door); /* for the deadline */
      return place;
    }
  hermit_log_stranger (G_LOG_LEVEL_WARNING,
                       (HermitLogAbout){ .peer = peer->name },
                       "%s: connection closed: it cannot be polled: %s",
                       peer->name, g_strerror (errno));
  place_close (door, place);
  return NULL;
}

/* Tell the peer why, and let it read that before close() resets it. */
static void
place_refuse (HermitDoor *door, Place *place, const HermitFrame *frame)
{
  /* A few bytes on a new connection: if they do not fit, so be it. */
  send (place->fd, frame->bytes, frame->length, MSG_NOSIGNAL | MSG_DONTWAIT);
  shutdown (place->fd, SHUT_WR);
  place->kind = PLACE_LINGERS;
  place->deadline = g_get_monotonic_time () + LINGER_US;
}

static void
place_refuse_draining (HermitDoor *door, Place *place)
{
  HermitFrame frame;

  atomic_fetch_add (&door->server->refusals[HERMIT_REFUSE_DRAINING], 1);
  hermit_frame_refuse (&frame, HERMIT_REFUSE_DRAINING,
                       "the server is shutting down");
  place_refuse (door, place, &frame);
}

/* ---- the thread ---- */

/* Nothing, or a reason to close it. */
static void
place_linger (HermitDoor *door, Place *place)
{
  guint8 junk[4096];
  ssize_t n = recv (place->fd, junk, sizeof (junk), MSG_DONTWAIT);

  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    place_close (door, place);
}

static void
place_prove (HermitDoor *door, Place *place)
{
  HermitPeer peer = place->peer;
  HermitHandshake proved = place->handshake;
  int fd;

  place->handshake.identity = NULL; /* it goes with the other */
  fd = place_take (door, place);
  door->proved (door->server, fd, &peer, &proved);
}

/* Feed what came. */
static void
place_shake (HermitDoor *door, Place *place)
{
  HermitHandshake *handshake = &place->handshake;
  guint8 bytes[HERMIT_HANDSHAKE_FRAME];
  ssize_t n;

  while (handshake->state == HERMIT_HANDSHAKE_GOING)
    {
      n = recv (place->fd, bytes, hermit_handshake_wants (handshake),
                MSG_DONTWAIT);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return;
      if (n <= 0)
        {
          place_drop (door, place, HERMIT_DROP_LEFT,
                      n ? g_strerror (errno) : "the peer hung up");
          return;
        }
      hermit_handshake_feed (handshake, bytes, n);
      if (handshake->state == HERMIT_HANDSHAKE_GOING && handshake->out.length
          && send (place->fd, handshake->out.bytes, handshake->out.length,
                   MSG_NOSIGNAL | MSG_DONTWAIT)
                 != (ssize_t)handshake->out.length)
        {
          place_drop (door, place, HERMIT_DROP_LEFT,
                      "the peer takes no CHALLENGE");
          return;
        }
    }
  if (handshake->state == HERMIT_HANDSHAKE_PROVED)
    {
      place_prove (door, place);
      return;
    }
  hermit_log_stranger (G_LOG_LEVEL_WARNING,
                       (HermitLogAbout){ .peer = place->peer.name },
                       "%s: refused (%s): %s", place->peer.name,
                       hermit_wire_refusal_name (handshake->refusal),
                       handshake->why);
  atomic_fetch_add (&door->server->refusals[handshake->refusal], 1);
  place_refuse (door, place, &handshake->out);
}

/* Put those out whose time is over; when is the next one's, in ms? */
static int
door_expire (HermitDoor *door)
{
  gint64 now = g_get_monotonic_time (), next = G_MAXINT64;
  g_autoptr (GPtrArray) over = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, door->places);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Place *place = value;

      if (place->kind == PLACE_THREAD)
        continue;
      if (place->deadline <= now)
        g_ptr_array_add (over, place);
      else
        next = MIN (next, place->deadline);
    }
  for (guint i = 0; i < over->len; i++)
    {
      Place *place = over->pdata[i];

      if (place->kind == PLACE_LINGERS)
        place_close (door, place);
      else
        place_drop (door, place, HERMIT_DROP_SILENT, "its time is over");
    }
  return next == G_MAXINT64 ? -1 : (int)((next - now) / 1000 + 1);
}

static gpointer
door_main (gpointer data)
{
  HermitDoor *door = data;
  struct epoll_event events[EVENTS];
  guint64 wakes;

  g_mutex_lock (&door->lock);
  while (!door->ending || g_hash_table_size (door->places))
    {
      int timeout = door_expire (door);
      int n;

      if (door->ending && !g_hash_table_size (door->places))
        break;
      g_mutex_unlock (&door->lock);
      n = epoll_wait (door->epoll, events, EVENTS, timeout);
      g_mutex_lock (&door->lock);
      for (int i = 0; i < n; i++)
        {
          guint64 id = events[i].data.u64;
          /* Who was put out meanwhile is not there any more. */
          Place *place = g_hash_table_lookup (door->places, &id);

          if (!id && read (door->wake, &wakes, sizeof (wakes)) < 0)
            continue;
          if (place && place->kind == PLACE_SHAKES)
            place_shake (door, place);
          else if (place && place->kind == PLACE_LINGERS)
            place_linger (door, place);
        }
    }
  g_mutex_unlock (&door->lock);
  return NULL;
}

/* ---- for the others ---- */

static void
door_free (HermitDoor *door)
{
  if (door->wake >= 0)
    close (door->wake);
  if (door->epoll >= 0)
    close (door->epoll);
  g_hash_table_unref (door->places);
  hermit_known_free (door->known);
  g_mutex_clear (&door->lock);
  g_free (door);
}

HermitDoor *
hermit_door_new (HermitServer *server, guint places, HermitProved proved,
                 GError **error)
{
  HermitDoor *door = g_new0 (HermitDoor, 1);
  struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0 };

  g_assert (places >= 2 * HERMIT_DOOR_STRANGER_SHARE);
  door->server = server;
  door->max_places = places;
  door->proved = proved;
  g_mutex_init (&door->lock);
  door->places
      = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL,
                                        place_free);
  door->known = hermit_known_new ();
  door->epoll = epoll_create1 (EPOLL_CLOEXEC);
  door->wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (door->epoll < 0 || door->wake < 0
      || epoll_ctl (door->epoll, EPOLL_CTL_ADD, door->wake, &event))
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                 "cannot poll connections: %s", g_strerror (errno));
  else
    {
      door->thread = g_thread_try_new ("door", door_main, door, error);
      if (door->thread)
        return door;
      g_prefix_error (error, "no thread for who connects: ");
    }
  door_free (door);
  return NULL;
}

void
hermit_door_admit (HermitDoor *door, int fd, const HermitPeer *peer)
{
  Place *place;

  g_mutex_lock (&door->lock);
  place = door_place_fd (door, fd, peer, PLACE_SHAKES, HANDSHAKE_US);
  if (place)
    {
      hermit_handshake_init (&place->handshake, door->server->identities,
                             peer);
      if (door->closed)
        place_refuse_draining (door, place);
    }
  g_mutex_unlock (&door->lock);
}

void
hermit_door_linger (HermitDoor *door, int fd, const HermitPeer *peer)
{
  shutdown (fd, SHUT_WR);
  g_mutex_lock (&door->lock);
  door_place_fd (door, fd, peer, PLACE_LINGERS, LINGER_US);
  g_mutex_unlock (&door->lock);
}

void
hermit_door_know (HermitDoor *door, const HermitPeer *peer)
{
  g_mutex_lock (&door->lock);
  hermit_known_add (door->known, peer->host);
  g_mutex_unlock (&door->lock);
}

gboolean
hermit_door_enter (HermitDoor *door, const HermitPeer *peer,
                   void (*evict) (gpointer data), gpointer data)
{
  Place *place = NULL;

  g_mutex_lock (&door->lock);
  if (!door->closed)
    place = door_place (door, peer, PLACE_THREAD);
  if (place)
    {
      place->evict = evict;
      place->data = data;
    }
  else
    door->drops[HERMIT_DROP_CROWDED]++;
  g_mutex_unlock (&door->lock);
  return place != NULL;
}

static gboolean
place_is_of (gpointer id G_GNUC_UNUSED, gpointer value, gpointer data)
{
  Place *place = value;

  return place->kind == PLACE_THREAD && place->data == data;
}

void
hermit_door_leave (HermitDoor *door, gpointer data)
{
  g_mutex_lock (&door->lock);
  g_hash_table_foreach_remove (door->places, place_is_of, data);
  if (door->ending)
    door_wake (door);
  g_mutex_unlock (&door->lock);
}

void
hermit_door_close (HermitDoor *door)
{
  GHashTableIter iter;
  gpointer value;

  g_mutex_lock (&door->lock);
  door->closed = TRUE;
  g_hash_table_iter_init (&iter, door->places);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((Place *)value)->kind == PLACE_SHAKES)
      place_refuse_draining (door, value);
  g_mutex_unlock (&door->lock);
}

void
hermit_door_free (HermitDoor *door)
{
  hermit_door_close (door);
  g_mutex_lock (&door->lock);
  door->ending = TRUE;
  door_wake (door);
  g_mutex_unlock (&door->lock);
  g_thread_join (door->thread);
  door_free (door);
}

HermitDoorUsage
hermit_door_usage (HermitDoor *door)
{
  HermitDoorUsage usage;

  g_mutex_lock (&door->lock);
  usage.places = door->max_places;
  usage.taken = g_hash_table_size (door->places);
  usage.known = hermit_known_count (door->known);
  memcpy (usage.drops, door->drops, sizeof (usage.drops));
  g_mutex_unlock (&door->lock);
  return usage;
}
