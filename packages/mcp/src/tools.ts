/** The table of tools, in the order in which clients see them. */

import { deleteFile, listDirectory, moveFile } from './files/arrange.js';
import { editFile } from './files/edit.js';
import { fileHistory, undo } from './files/history.js';
import { readFile, readFiles } from './files/read.js';
import { stageAppend, stageBegin, stageCancel, stageCommit, stageList } from './files/stage.js';
import { storeStatus } from './files/status.js';
import { appendFile, writeFile, writeFiles } from './files/write.js';
import { taskInput, taskPrune, taskRestart, taskTerminate } from './tasks/control.js';
import { taskList, taskOutputTool, taskStatus, taskWait } from './tasks/look.js';
import { runShell } from './tasks/run-shell.js';
import type { Tool } from './tool.js';

export const tools: readonly Tool[] = [
  readFile,
  readFiles,
  writeFile,
  writeFiles,
  editFile,
  appendFile,
  moveFile,
  deleteFile,
  listDirectory,
  fileHistory,
  undo,
  stageBegin,
  stageAppend,
  stageCommit,
  stageCancel,
  stageList,
  storeStatus,
  runShell,
  taskList,
  taskStatus,
  taskOutputTool,
  taskWait,
  taskInput,
  taskTerminate,
  taskRestart,
  taskPrune,
];
