import type { ThemeConfig } from 'antd';

/** antd tokens of ui.md §15.1: the desk's light palette, 8 px radius, 36 px controls, 28 px inside lines. */
export const theme: ThemeConfig = {
  token: {
    colorPrimary: '#17505f',
    colorInfo: '#17505f',
    colorLink: '#17505f',
    colorError: '#b23a26',
    colorWarning: '#8a5600',
    colorSuccess: '#1e7a4c',
    colorText: '#1c2a2e',
    colorTextSecondary: '#4a5a5e',
    colorTextPlaceholder: '#66757a',
    colorBorder: '#cfc4ab',
    colorBorderSecondary: '#e4dac6',
    colorBgLayout: '#fbf7ef',
    borderRadius: 8,
    fontSize: 14,
    controlHeight: 36,
    controlHeightSM: 28,
    fontFamily: '"Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif',
    motionDurationMid: '0.12s',
    motionDurationSlow: '0.12s',
  },
  components: {
    Table: { headerBg: '#f3ecdd', headerColor: '#4a5a5e', rowHoverBg: '#f6f2e9', borderColor: '#efe7d6', cellPaddingBlockSM: 6, cellPaddingInlineSM: 9 },
    Button: { primaryShadow: 'none', defaultShadow: 'none', dangerShadow: 'none' },
  },
};
