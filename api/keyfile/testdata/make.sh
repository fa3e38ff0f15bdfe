#!/bin/sh
# Makes the key files of the tests with the tools that users make theirs with:
# keytool (JDK 17) and openssl (3.0). Run it in this directory; everything it
# writes is worthless outside the tests. All passwords are "password" unless said
# otherwise. The files are kept in the repository, so that tests need neither tool.
set -eu
rm -f ./*.jks ./*.p12 ./*.pem ./*.der
days=20000
san=san=dns:localhost,ip:127.0.0.1

pair() { # pair FILE TYPE ALIAS KEYALG [more]: one self-signed pair more in FILE
    file=$1 type=$2 alias=$3 alg=$4
    shift 4
    keytool -genkeypair -keystore "$file" -storetype "$type" -storepass password -alias "$alias" \
        -keyalg "$alg" -dname "CN=$alias" -ext $san -validity $days "$@" 2>/dev/null
}

# True JKS.
pair jks-rsa.jks JKS server RSA -keysize 2048
pair jks-ec.jks JKS server EC -groupname secp384r1
pair jks-entry-password.jks JKS server EC -groupname secp256r1 -keypass entrypassword
pair jks-dsa.jks JKS server DSA -keysize 2048
pair jks-several.jks JKS zebra EC -groupname secp256r1
pair jks-several.jks JKS apple EC -groupname secp256r1
keytool -exportcert -keystore jks-rsa.jks -storepass password -alias server -file trusted.der 2>/dev/null
keytool -importcert -noprompt -keystore jks-several.jks -storepass password -alias aaa-trusted -file trusted.der 2>/dev/null
keytool -importcert -noprompt -keystore jks-trusted-only.jks -storetype JKS -storepass password -alias ca -file trusted.der 2>/dev/null
cp jks-rsa.jks jks-empty.jks
keytool -delete -keystore jks-empty.jks -storepass password -alias server 2>/dev/null
head -c 1500 jks-rsa.jks >jks-truncated.jks

# JCEKS, which only Java reads.
pair jceks.jks JCEKS server EC -groupname secp256r1

# PKCS12 as keytool makes it by default since JDK 9, whatever the file is called.
pair pkcs12-keytool.p12 PKCS12 server RSA -keysize 2048
pair pkcs12-called.jks PKCS12 server EC -groupname secp256r1
pair pkcs12-several.p12 PKCS12 zebra EC -groupname secp256r1
pair pkcs12-several.p12 PKCS12 apple RSA -keysize 2048
keytool -importcert -noprompt -keystore pkcs12-several.p12 -storepass password -alias aaa-trusted -file trusted.der 2>/dev/null
keytool -importcert -noprompt -keystore pkcs12-trusted-only.p12 -storetype PKCS12 -storepass password -alias ca -file trusted.der 2>/dev/null
cp pkcs12-keytool.p12 pkcs12-empty.p12
keytool -delete -keystore pkcs12-empty.p12 -storepass password -alias server 2>/dev/null
head -c 1500 pkcs12-keytool.p12 >pkcs12-truncated.p12
rm trusted.der

# A chain: root, intermediate, leaf.
request() { # request NAME: key and request
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
}
sign() { # sign NAME CA EXTENSIONS
    printf '%s\n' "$3" >ext
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -set_serial 0x$(openssl rand -hex 8) -days $days -extfile ext -out "$1.crt" 2>/dev/null
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.crt -subj /CN=root -days $days 2>/dev/null
request intermediate
sign intermediate root 'basicConstraints=critical,CA:true'
request leaf
sign leaf intermediate 'subjectAltName=DNS:localhost,IP:127.0.0.1'
# The leaf comes last in the file: the order has to be found.
cat intermediate.crt leaf.crt leaf.key >pem-chain.pem
openssl ec -in leaf.key 2>/dev/null | cat leaf.crt intermediate.crt - >pem-sec1.pem
openssl pkcs8 -topk8 -in leaf.key -passout pass:password 2>/dev/null | cat leaf.crt - >pem-encrypted.pem
openssl ec -aes128 -in leaf.key -passout pass:password 2>/dev/null | cat leaf.crt - >pem-encrypted-old.pem
cat root.crt leaf.key >pem-foreign-key.pem
cat leaf.crt intermediate.crt >pem-no-key.pem
openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost -days $days 2>/dev/null
openssl rsa -traditional -in rsa.key 2>/dev/null | cat - rsa.crt >pem-pkcs1.pem
openssl req -x509 -newkey ed25519 -nodes -keyout ed.key -out ed.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost -days $days 2>/dev/null
cat ed.key ed.crt >pem-ed25519.pem

# PKCS12 as openssl makes it: now, and before version 3 (RC2-40 and triple DES, SHA-1).
cat intermediate.crt root.crt >ca.crt
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -certfile ca.crt -name server -passout pass:password -out pkcs12-chain.p12
openssl pkcs12 -export -legacy -in rsa.crt -inkey rsa.key -name server -passout pass:password -out pkcs12-legacy.p12
openssl pkcs12 -export -in ed.crt -inkey ed.key -passout pass:password -out pkcs12-ed25519.p12
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -passout pass:password -nomac -out pkcs12-no-mac.p12
rm -f ./*.key ./*.csr ./*.crt ext
chmod 644 ./*.jks ./*.p12 ./*.pem
