import os from 'node:os'

// Loaded into a process whose work, and that of the processes it starts, is to take only what others leave of the machine.
os.setPriority(os.constants.priority.PRIORITY_LOW)
