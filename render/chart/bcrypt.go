package chart

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"text/template"

	"golang.org/x/crypto/blowfish" //nolint:staticcheck // bcrypt is made of it
)

// bcryptCost is the one that sprig takes.
const bcryptCost = 10

// bcryptEncoding is the base64 of bcrypt.
var bcryptEncoding = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding) //nolint:gochecknoglobals // a constant

// passwords are the functions that hash or encrypt with a random salt: it comes from
// the seed. golang.org/x/crypto/bcrypt takes it from the system alone.
func (f *fixed) passwords() template.FuncMap {
	return template.FuncMap{
		"bcrypt": func(password string) (string, error) {
			return f.bcrypt("bcrypt", password)
		},
		"htpasswd": func(user, password string) (string, error) {
			hash, err := f.bcrypt("htpasswd", password)
			return user + ":" + hash, err
		},
		"encryptAES": func(password, text string) (string, error) {
			vector, err := f.read("encryptAES", aes.BlockSize)
			if err != nil {
				return "", err
			}
			key := make([]byte, 32)
			copy(key, password)
			block, err := aes.NewCipher(key)
			if err != nil {
				return "", err
			}
			padding := aes.BlockSize - len(text)%aes.BlockSize
			content := append([]byte(text), bytes.Repeat([]byte{byte(padding)}, padding)...)
			cipher.NewCBCEncrypter(block, vector).CryptBlocks(content, content)
			return encoded(append(vector, content...)), nil
		},
	}
}

func (f *fixed) bcrypt(name, password string) (string, error) {
	salt, err := f.read(name, 16)
	if err != nil {
		return "", err
	}
	cost := bcryptCost
	if f.in.Seed == "" {
		cost = 4 // a stand-in need not be hard to guess
	}
	return bcryptHash([]byte(password), salt, cost)
}

// bcryptHash is the algorithm of Provos and Mazières, version 2a.
func bcryptHash(password, salt []byte, cost int) (string, error) {
	if len(password) > 72 {
		return "", errors.New("bcrypt takes 72 bytes of a password at most")
	}
	key := append(slices.Clip(password), 0)
	c, err := blowfish.NewSaltedCipher(key, salt)
	if err != nil {
		return "", err
	}
	for range uint64(1) << cost {
		blowfish.ExpandKey(key, c)
		blowfish.ExpandKey(salt, c)
	}
	text := []byte("OrpheanBeholderScryDoubt")
	for i := 0; i < len(text); i += 8 {
		for range 64 {
			c.Encrypt(text[i:i+8], text[i:i+8])
		}
	}
	return fmt.Sprintf("$2a$%02d$%s%s", cost, bcryptEncoding.EncodeToString(salt), bcryptEncoding.EncodeToString(text[:23])), nil
}
