import { App as Antd, ConfigProvider } from 'antd';
import zhCN from 'antd/locale/zh_CN';
import { createRoot } from 'react-dom/client';
import '../staff/base.css';
import { theme } from '../staff/theme';
import { DeskApp } from './app';
import './desk.css';
import './dispute.css';

const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <ConfigProvider locale={zhCN} theme={theme} button={{ autoInsertSpace: false }}>
      <Antd message={{ maxCount: 3 }} component={false}>
        <DeskApp />
      </Antd>
    </ConfigProvider>,
  );
}
