import { App as Antd, ConfigProvider } from 'antd';
import zhCN from 'antd/locale/zh_CN';
import { createRoot } from 'react-dom/client';
import '../staff/base.css';
import { theme } from '../staff/theme';
import { ConsoleApp } from './app';
import './console.css';

const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <ConfigProvider locale={zhCN} theme={theme} button={{ autoInsertSpace: false }}>
      <Antd message={{ maxCount: 3 }} component={false}>
        <ConsoleApp />
      </Antd>
    </ConfigProvider>,
  );
}
