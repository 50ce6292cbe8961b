echo "== CUDA $CUDA_VERSION =="
