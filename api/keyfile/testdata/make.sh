#!/bin/sh
# Makes the key files of the tests with the tools that users make theirs with:
# keytool (JDK 17) and openssl (3.0). Run it in this directory; everything it
# writes is worthless outside the tests. All passwords are "password" unless said
# otherwise. The files are kept in the repository, so that tests need neither tool.
# Those in cases/ were made elsewhere, by GnuTLS, NSS and others.
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
openssl req -x509 -newkey rsa:512 -nodes -keyout tiny.key -out tiny.crt -subj /CN=tiny -days $days 2>/dev/null
cat tiny.key tiny.crt >pem-rsa512.pem

# PKCS12 as openssl makes it: now, and before version 3 (RC2-40 and triple DES, SHA-1).
cat intermediate.crt root.crt >ca.crt
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -certfile ca.crt -name server -passout pass:password -out pkcs12-chain.p12
openssl pkcs12 -export -legacy -in rsa.crt -inkey rsa.key -name server -passout pass:password -out pkcs12-legacy.p12
openssl pkcs12 -export -in ed.crt -inkey ed.key -passout pass:password -out pkcs12-ed25519.p12
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -passout pass:password -nomac -out pkcs12-no-mac.p12

# Certificates of others that crypto/x509 does not parse, or hardly: a negative
# serial number (from cases/), and keys on other curves and for RSA-PSS.
sed -n '/BEGIN CERT/,/END CERT/p' cases/negchain.pem | awk '/BEGIN/ {n++} n == 2' >negative.crt
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:brainpoolP256r1 -nodes -keyout brain.key -out brain.crt -subj /CN=brainpool -days $days 2>/dev/null
openssl req -x509 -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048 -nodes -keyout pss.key -out pss.crt -subj /CN=pss -days $days 2>/dev/null
request under-brain
sign under-brain brain 'subjectAltName=DNS:localhost'
cat under-brain.crt brain.crt under-brain.key >pem-brainpool.pem
cat negative.crt pss.crt brain.crt root.crt intermediate.crt intermediate.crt >others.crt
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -certfile others.crt -name server -passout pass:password -out pkcs12-others.p12
openssl pkcs12 -export -legacy -in leaf.crt -inkey leaf.key -certfile others.crt -name server -passout pass:password -out pkcs12-legacy-others.p12
pair pkcs12-legacy-trusted.p12 PKCS12 server EC -groupname secp256r1 -J-Dkeystore.pkcs12.legacy
cp pkcs12-legacy-trusted.p12 pkcs12-legacy-ca.p12
keytool -importcert -noprompt -keystore pkcs12-legacy-ca.p12 -storepass password -alias root -file root.crt -J-Dkeystore.pkcs12.legacy 2>/dev/null
keytool -importcert -noprompt -keystore pkcs12-legacy-trusted.p12 -storepass password -alias old -file negative.crt -J-Dkeystore.pkcs12.legacy 2>/dev/null

# Digests of the MAC and of the key derivation.
for digest in sha1 sha224 sha384 sha512 sha512-256; do
    openssl pkcs12 -export -in leaf.crt -inkey leaf.key -passout pass:password -macalg $digest -out pkcs12-mac-$digest.p12
done
for digest in SHA1 SHA224 SHA384 SHA512; do
    pbe=PBEWithHmac${digest}AndAES_256
    pair pkcs12-prf-$digest.p12 PKCS12 server EC -groupname secp256r1 -J-Dkeystore.pkcs12.keyProtectionAlgorithm=$pbe -J-Dkeystore.pkcs12.certProtectionAlgorithm=$pbe
done

# Entries of two years in one store.
for store in jks-years.jks pkcs12-years.p12 pkcs12-legacy-years.p12; do
    type=JKS more=
    case $store in pkcs12*) type=PKCS12 ;; esac
    case $store in *legacy*) more=-J-Dkeystore.pkcs12.legacy ;; esac
    keytool -genkeypair -keystore $store -storetype $type -storepass password -alias relay-2025 -keyalg EC -groupname secp256r1 \
        -dname CN=relay-2025 -ext $san -startdate 2025/01/01 -validity 365 $more 2>/dev/null
    pair $store $type relay-2026 EC -groupname secp256r1 $more
done

# Passwords: none, in Latin-1, beyond it, beyond the basic plane.
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -passout pass: -out pkcs12-no-password.p12
openssl pkcs12 -export -legacy -in leaf.crt -inkey leaf.key -passout pass: -out pkcs12-legacy-no-password.p12
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -passout 'pass:pässwörd' -out pkcs12-latin.p12
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -passout 'pass:pass€word' -out pkcs12-euro.p12
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -passout 'pass:🔑password' -out pkcs12-emoji.p12

# Encrypted for nobody: keys and certificates in the clear, under a MAC.
openssl pkcs12 -export -in leaf.crt -inkey leaf.key -keypbe NONE -certpbe NONE -passout pass:password -out pkcs12-clear.p12
rm -f ./*.key ./*.csr ./*.crt ext
chmod 644 ./*.jks ./*.p12 ./*.pem
