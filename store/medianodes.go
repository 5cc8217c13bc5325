package store

import (
	"context"

	"heyi/media/nodes"
)

var _ nodes.Store = (*Store)(nil)

// RegisterMediaNode implements nodes.Store.
func (s *Store) RegisterMediaNode(ctx context.Context, n nodes.Node, now int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO media_node (name, inc, url, page, health, region, version, max_rooms, draining, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, FALSE, $9)
			ON CONFLICT (name) DO UPDATE SET inc = excluded.inc, url = excluded.url, page = excluded.page, health = excluded.health,
				region = excluded.region, version = excluded.version, max_rooms = excluded.max_rooms, draining = FALSE, at = excluded.at
			WHERE media_node.inc <= excluded.inc`,
			n.Name, n.Inc, n.URL, n.Page, n.Health, n.Region, n.Version, n.MaxRooms, now)
		return err
	})
}

// DrainMediaNode implements nodes.Store.
func (s *Store) DrainMediaNode(ctx context.Context, name string, inc int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE media_node SET draining = TRUE WHERE name = $1 AND inc = $2`, name, inc)
		return err
	})
}

// MediaNodes implements nodes.Store.
func (s *Store) MediaNodes(ctx context.Context) ([]nodes.Node, error) { return mediaNodes(s.read(ctx)) }

func mediaNodes(q querier) ([]nodes.Node, error) {
	var list []nodes.Node
	err := q.all(`SELECT name, inc, url, page, health, region, version, max_rooms, draining,
			coalesce((SELECT lease.expires_at FROM lease WHERE lease.name = 'media/' || media_node.name AND lease.epoch = media_node.inc AND lease.owner = media_node.name), 0),
			(SELECT count(*) FROM room_placement WHERE room_placement.node = media_node.name AND room_placement.closed = FALSE)
		FROM media_node ORDER BY name`, nil, func(r rows) error {
		var n nodes.Node
		err := r.Scan(&n.Name, &n.Inc, &n.URL, &n.Page, &n.Health, &n.Region, &n.Version, &n.MaxRooms, &n.Draining, &n.LeaseTill, &n.Rooms)
		list = append(list, n)
		return err
	})
	return list, err
}

// hosts lists the media nodes for a placement by this command. Two placements wait for each other, so that the second
// counts the room of the first.
func (t *tx) hosts() ([]nodes.Node, error) {
	if t.forUpdate() != "" {
		// the rows are read by another statement: one that waited for a lock would still count as of its beginning
		err := t.all(`SELECT 1 FROM media_node ORDER BY name`+t.forUpdate(), nil, func(r rows) error {
			var one int
			return r.Scan(&one)
		})
		if err != nil {
			return nil, err
		}
	}
	return mediaNodes(t)
}
