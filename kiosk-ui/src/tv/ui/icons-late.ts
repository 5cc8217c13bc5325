// Icons of the second script, over those of the first.
import { icons as first } from './icons';

export const icons = {
  ...first,
  mic: 'M12 2.5a3.5 3.5 0 0 1 3.5 3.5v5a3.5 3.5 0 0 1-7 0V6A3.5 3.5 0 0 1 12 2.5zM5 11.5a7 7 0 0 0 14 0M12 18.5v3M8.5 21.5h7',
  micoff: 'M15.5 10V6a3.5 3.5 0 0 0-6.8-1.2M8.5 9v2a3.5 3.5 0 0 0 5 3.1M5 11.5a7 7 0 0 0 11 5.7M18.3 14.5a7 7 0 0 0 .7-3M12 18.5v3M8.5 21.5h7M3.5 3l17 18',
  leave: 'M3.5 15.5c-1-5 4-7.5 8.5-7.5s9.5 2.5 8.5 7.5l-4.5-.8v-3c-2.5-1-5.5-1-8 0v3z',
  ear: 'M21.5 12a9.5 9.5 0 1 1-19 0 9.5 9.5 0 0 1 19 0zM7.5 12.5l3 3 6-6.5',
  norec: 'M21.5 12a9.5 9.5 0 1 1-19 0 9.5 9.5 0 0 1 19 0zM5.5 5.5l13 13',
  rec: 'M21.5 12a9.5 9.5 0 1 1-19 0 9.5 9.5 0 0 1 19 0zM15 12a3 3 0 1 1-6 0 3 3 0 0 1 6 0z',
  check: 'M4 12.5l5.5 5.5L20 6.5',
  help: 'M21.5 12a9.5 9.5 0 1 1-19 0 9.5 9.5 0 0 1 19 0zM9 9.5a3 3 0 1 1 4.3 2.7c-.9.5-1.3 1-1.3 2M12 17.2v.1',
  land: 'M2 19c4-5 7-6 10-4 3-3 6-3 10 0M2 21.5h20M7 13V8M7 10c-2.5 0-3.5-1.5-3.5-3.5C6 6.5 7 8 7 10zM7 9c2.5 0 3.5-1.5 3.5-3.5C8 5.5 7 7 7 9zM19 6a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z',
  family: 'M9 7a2.8 2.8 0 1 1-5.6 0A2.8 2.8 0 0 1 9 7zM20.6 7A2.8 2.8 0 1 1 15 7a2.8 2.8 0 0 1 5.6 0zM2 19v-3a4 4 0 0 1 7.5-2M22 19v-3a4 4 0 0 0-7.5-2M14 14.5a2 2 0 1 1-4 0 2 2 0 0 1 4 0zM8.5 21.5a3.5 3.5 0 0 1 7 0',
  neighbours: 'M2 12l5-4.5 5 4.5M3.5 11v9h7v-9M12 12l5-4.5 5 4.5M13.5 11v9h7v-9M7 20v-4M17 20v-4M12 3v3',
  wages: 'M21.5 12a9.5 9.5 0 1 1-19 0 9.5 9.5 0 0 1 19 0zM8 6.5l4 5 4-5M12 11.5V18M8.5 12h7M8.5 15h7',
  damage: 'M8 3.5l12.5 12.5a3.2 3.2 0 0 1-4.5 4.5L3.5 8A3.2 3.2 0 0 1 8 3.5zM9.5 14l4.5-4.5M11 11v.1M12.5 12.5v.1M10 18l-3 3M18 10l3-3',
  traffic: 'M3 16.5v-4l2.5-6h13l2.5 6v4zM3 12.5h18M5 16.5v2.5M19 16.5v2.5M6.5 14.5v.1M17.5 14.5v.1',
  consumer: 'M4 8h16l-1.2 13H5.2zM8.5 10.5V7a3.5 3.5 0 0 1 7 0v3.5',
  other: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM16.5 13.5v6M13.5 16.5h6',
  swap: 'M4 9a8 8 0 0 1 14-3l2 2M20 3v5h-5M20 15a8 8 0 0 1-14 3l-2-2M4 21v-5h5',
  home: 'M3 11.5L12 4l9 7.5M5.5 10v10h13V10M10 20v-5.5h4V20',
};

/** topics are the icons of tiles/categories.json. */
export const topics: Record<string, string> = { land: icons.land, family: icons.family, neighbours: icons.neighbours, wages: icons.wages, housing: icons.home, damage: icons.damage, traffic: icons.traffic, consumer: icons.consumer, other: icons.other };
