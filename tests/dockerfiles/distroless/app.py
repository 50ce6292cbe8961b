import os
import shutil

import psutil

print("user", os.getuid(), "processes", len(psutil.pids()) > 0, "apt", shutil.which("apt"))
