from scratch
label a=b
LABEL a=b
LABEL a=b
