import * as assert from './assert.js';

export { assert };
export type { CodedError } from './assert.js';
export { type Hook, reportPrefix, type Suite, type SuiteOptions, suite, type TestOptions } from './suite.js';
export { type TemporaryDirectory, temporaryDirectory } from './temp-directory.js';
export {
  monotonicMs,
  onCommand,
  type ProcessEnd,
  processTimeoutMsDefault,
  requestOf,
  say,
  starvedMsOf,
  TestProcess,
  type TestProcessOptions,
  untilStopped,
} from './child-process.js';
export {
  type ChoiceBudget,
  type CrashChoice,
  choicesWithin,
  countChoicesExactly,
  distinctChoice,
  distinctChoices,
  countChoices,
  describeChoice,
  everyChoice,
  type PendingEffect,
  sampleChoice,
} from './crash-choice.js';
export type { Fingerprint } from './crash-fingerprint.js';
export {
  type BootOptions,
  CrashPoint,
  type CrashPointOptions,
  type PersistenceModel,
  persistenceModels,
} from './crash-point.js';
export { CrashSignal, isCrashSignal } from './crash-signal.js';
export {
  type CrashFault,
  describeCall,
  type ErrorFault,
  type Fault,
  type FaultCode,
  FaultyFileSystem,
  type FaultyFileSystemOptions,
  type FileSystemCall,
  type FileSystemMethod,
  type ShortWriteFault,
} from './faulty-file-system.js';
export {
  type MountType,
  mountTypes,
  type PreparedMount,
  prepareMount,
  underOtherBoot,
  whyNoMount,
  whyNotUnder,
} from './mounts.js';
export { type Figures, figuresIn, publishFigures } from './figures.js';
export { announceSeed, Random } from './random.js';
export { SimulatedClock, type SimulatedClockOptions } from './simulated-clock.js';
export { type RemountOptions, SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.js';
export { type MountOptions, SimulatedFileSystem } from './simulated-file-system.js';
export type { VolumeOptions } from './simulated-volume.js';
