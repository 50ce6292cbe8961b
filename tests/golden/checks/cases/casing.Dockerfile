from scratch as one
FROM scratch aS Two
label a=b
Label c=d
Run true
FROM scratch AS two
COPY --from=one / /
