import { Input } from 'antd';
import { useMemo, useState } from 'react';
import { count, rate } from '../staff/format';
import { Icon } from '../staff/icons';
import { findNode, matching, pathOf, shade, type Node } from './fleet';
import { t } from './t';
import { go, type Place } from './url';

/** The left tree: it filters everything on the right. Numbers are the server's. `devices`: it finds devices too. */
export function Tree({ roots, place, devices }: { roots: Node[]; place: Place; devices: boolean }) {
  const [find, setFind] = useState('');
  const [opened, setOpened] = useState<Record<string, boolean>>({});
  const hits = useMemo(() => matching(roots, find.trim()), [roots, find]);
  const chosen = place.unit === '' ? (roots[0]?.id ?? '') : place.unit;
  const here = findNode(roots, chosen);
  const onPath = new Set(here === null ? [] : pathOf(here).map((n) => n.id));
  const what = t(devices ? 'tree.find' : 'tree.find.unit');
  const counts = place.view === 'devices' || place.view === 'device' || place.view === 'enrol';

  const pick = (n: Node) => go({ ...place, view: place.view === 'enrol' || place.view === 'device' ? 'devices' : place.view, unit: n.up === null ? '' : n.id, device: '', case: '', row: '' });
  const line = (n: Node) => {
    if (hits !== null && !hits.has(n.id)) return null;
    const open = hits !== null || (opened[n.id] ?? (n.depth === 0 || onPath.has(n.id)));
    const bad = shade(n.online, n.devices) === 'r';
    return (
      <li key={n.id} role="treeitem" aria-expanded={n.kids.length > 0 ? open : undefined} aria-selected={n.id === chosen}>
        <div className={`row d${Math.min(3, n.depth)}${n.id === chosen ? ' on' : ''}${bad ? ' bad' : ''}`}>
          {n.kids.length > 0 ? (
            <button type="button" className="tw" aria-label={n.name} onClick={() => setOpened({ ...opened, [n.id]: !open })}>{open ? '▼' : '▶'}</button>
          ) : (
            <i className="tw" />
          )}
          <button type="button" className="nm" onClick={() => pick(n)}>
            <span>{n.name}</span>
            <small>{n.devices === 0 ? '–' : counts ? `${count(n.online)} / ${count(n.devices)}` : rate(n.online, n.devices)}</small>
          </button>
        </div>
        {open && n.kids.length > 0 && <ul role="group">{n.kids.map(line)}</ul>}
      </li>
    );
  };
  return (
    <aside className="tree">
      <Input
        className="find"
        allowClear
        prefix={<Icon name="find" size={16} />}
        placeholder={what}
        aria-label={what}
        value={find}
        onChange={(e) => setFind(e.target.value)}
        onPressEnter={() => devices && go({ view: 'devices', q: find.trim() })}
      />
      {devices && find.trim() !== '' && <button type="button" className="link finddev" onClick={() => go({ view: 'devices', q: find.trim() })}>{t('tree.find.devices', { q: find.trim() })}</button>}
      <ul role="tree" className="units">
        {roots.map(line)}
        {hits !== null && hits.size === 0 && <li className="dim none">{t('tree.none')}</li>}
      </ul>
      <div className="tip">{counts ? t('tree.tip.count') : t('tree.tip.rate')}</div>
    </aside>
  );
}
